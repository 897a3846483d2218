// Feeder, from the slot: completions and frames, none of them believed before it is checked; and the end of a slot.
#include <time.h>

#include "core/model/clock.h"
#include "core/scan/execution.h"
#include "core/scan/fault_text.h"
#include "core/scan/feeder.h"

namespace millrace {

namespace {
uint64_t now_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000 + static_cast<uint64_t>(t.tv_nsec) / 1'000'000;
}

constexpr const char* kCompileMemory = "compiling the kernel took more memory than a slot has";

std::string slow_to_compile(const ScanSpec& spec) { return "compiling the kernel took longer than the " + std::to_string(spec.compile_ms) + " ms it has"; }

}  // namespace

/** The GuestFault a slot reports, if it is one. */
std::optional<uint32_t> Feeder::known_fault(const wire::Cqe& cqe) {
  const bool known = (cqe.status >> 1 & 0x7ffu) == wire::kStatusGuestFault && cqe.dw0 > wire::kGuestFaultNone && cqe.dw0 <= wire::kGuestFaultArithmeticOverflow;
  return known ? std::optional(cqe.dw0) : std::nullopt;
}

bool Feeder::reap() {
  if (held_) return release_held(false);
  wire::Cqe cqes[kSlotRingEntries];
  const uint32_t n = port_->ring.reap(cqes, hub_.core.on() ? 1 : kSlotRingEntries);
  if (port_->ring.broken()) condemn("it completed a command nobody gave it", wire::kGuestFaultAbiViolation);
  for (uint32_t i = 0; i < n && !condemned_; i++)
    if (!hold(cqes[i]) && !complete(cqes[i])) break;
  return n > 0;
}

/** False: the slot was caught lying. */
bool Feeder::complete(const wire::Cqe& cqe) {
  const uint32_t status = cqe.status >> 1 & 0x7ffu;
  const bool more = (cqe.dw1 & 1u) != 0;
  // A command that waits for room puts nothing more out, but it may end: a stop that was asked for meanwhile, or just before, finds it waiting.
  const bool may_come = !in_flight_.empty() && in_flight_.front().cid == cqe.cid && (!in_flight_.front().stalled || (!more && status != wire::kStatusSuccess));
  if (!may_come) {
    condemn("its completions are out of order", wire::kGuestFaultAbiViolation);
    return false;
  }
  InFlight& front = in_flight_.front();
  // The ring counts a command that announces more as running on: believed here, it would fill up.
  const bool may_announce = front.kind == Kind::kExecute || front.kind == Kind::kCheckpoint;
  if (more && (!may_announce || front.fault != 0 || status != wire::kStatusSuccess)) {
    condemn("it announced more of a command that ended", wire::kGuestFaultAbiViolation);
    return false;
  }
  if (front.kind != Kind::kExecute && front.kind != Kind::kLoad) return complete_stream(front, cqe, status, more);
  if (front.kind == Kind::kLoad) {
    if (status != wire::kStatusSuccess) {
      const uint32_t fault = known_fault(cqe).value_or(wire::kGuestFaultModuleRejected);
      std::string text = fault_words(front, cqe);
      for (const InFlight& entry : in_flight_)
        if (fault == wire::kGuestFaultTimeout && text.empty() && entry.scan && entry.module == front.module) text = slow_to_compile(entry.scan->spec);
      programs_.forget(front.module->id);
      for (InFlight& entry : in_flight_)
        if (entry.scan && entry.module == front.module) {
          entry.fault = fault;
          entry.fault_text = text;
        }
    }
    load_in_flight_ = false;
    finish_front();
    if (!in_flight_.empty()) mark_started(in_flight_.front());
    return true;
  }
  if (status != wire::kStatusSuccess || front.fault != 0) {
    const uint32_t fault = front.fault != 0 ? front.fault : known_fault(cqe).value_or(wire::kGuestFaultAbiViolation);
    const std::string text = front.fault != 0 ? front.fault_text : fault_words(front, cqe);
    front.scan->fault(front.morsel, fault, slot_, text);
    // What the slot had of a stream is gone: the morsels behind have nothing to go on from.
    for (InFlight& entry : in_flight_)
      if (&entry != &front && entry.scan == front.scan && entry.scan->spec.stream && entry.fault == 0) entry.fault = fault;
    finish_front();
    return true;
  }
  return take_output(front, cqe.dw0, more);
}

/** What the slot says about the fault it reports; the bytes are its own. */
std::string Feeder::fault_words(const InFlight& front, const wire::Cqe& cqe) const {
  if (!known_fault(cqe) || cqe.dw1 < 2) return {};
  return fault_text(port_->data + (front.kind == Kind::kLoad ? 0 : out_offset(front.area)), cqe.dw1 >> 1);
}

bool Feeder::take_output(InFlight& front, uint64_t bytes, bool more) {
  frames_.clear();
  const std::byte* out = port_->data + out_offset(front.area);
  bool lie = bytes > front.scan->spec.out_bytes_max || !parse_frames(out, bytes, front.scan->id, front.morsel, slot_, front.sequence, frames_) || frames_.empty();
  // Exactly the last frame of a morsel has Last.
  for (size_t i = 0; !lie && i < frames_.size(); i++) lie = ((frames_[i].header.flags & wire::kFrameFlagLast) != 0) != (!more && i + 1 == frames_.size());
  if (lie) {
    condemn("its frames are not what its runtime writes", wire::kGuestFaultAbiViolation);
    return false;
  }
  const uint64_t bytes_max = front.scan->spec.tenant->caps.output_bytes;
  if (!front.passed && front.out_bytes + bytes > bytes_max) {
    front.fault = wire::kGuestFaultOutputLimit;
    front.fault_text = "a morsel's output passed the " + std::to_string(bytes_max) + " bytes its tenant has";
  } else if (front.scan->spec.execution && !front.scan->closed()) {
    front.fault = front.scan->spec.execution->take(frames_, front.fault_text);
  }
  if (front.fault != 0) {
    if (more) {
      port_->ring.cancel(front.cid);  // it waits for room in its area; the deadline runs on
    } else {
      front.scan->fault(front.morsel, front.fault, slot_, front.fault_text);
      finish_front();
    }
    return true;
  }
  for (const Frame& frame : frames_) front.rows += frame.header.rows;
  if (!front.passed) front.out_bytes += bytes;
  // Counted before the host can see the frames: whoever has all results finds all executes in the counters.
  if (!more) {
    counters_.executes.fetch_add(1, std::memory_order_relaxed);
    executes_.fetch_add(1, std::memory_order_relaxed);
  }
  if (!front.passed) front.scan->pass_on(frames_);
  if (more) {
    if (hub_.supervisor) hub_.supervisor->command_finished(slot_, front.cid);
    front.ran_ns += monotonic_ns() - front.running_since_ns;
    front.stalled = true;
    front.stalled_since_ms = now_ms();
    go_on_if_stalled();
    return true;
  }
  // A host that has its answer finds nothing of its own in the window any more.
  if (front.scan->spec.execution) feed_.release(front.inputs);
  const bool others_may_go_on = front.scan->finish_on_device(front.morsel, front.rows);
  finish_front();
  if (others_may_go_on) hub_.kick_all();
  return true;
}

void Feeder::finish_front() {
  InFlight& front = in_flight_.front();
  if (hub_.supervisor) hub_.supervisor->command_finished(slot_, front.cid);
  if (front.kind == Kind::kExecute) {
    feed_.release(front.inputs);
    executes_in_flight_--;
  }
  counters_.took(command_of(front.kind), monotonic_ns() - front.submitted_ns);
  counters_.slot_depth.fetch_sub(1, std::memory_order_relaxed);
  in_flight_.pop_front();
  announce_front();
}

bool Feeder::go_on_if_stalled() {
  if (in_flight_.empty() || !in_flight_.front().stalled) return false;
  InFlight& front = in_flight_.front();
  if (!front.scan->has_room()) {
    if (now_ms() - front.stalled_since_ms > kStallMsMax) condemn("nobody took its output for too long", wire::kGuestFaultOutputLimit);
    return false;
  }
  front.stalled = false;
  announce_front();
  mark_started(front);
  port_->ring.go_on(front.cid);
  return true;
}

/** A kernel of a scan nobody reads any more need not run on. */
void Feeder::cancel_if_closed() {
  if (in_flight_.empty() || held_) return;
  InFlight& front = in_flight_.front();
  if (front.kind != Kind::kExecute || front.cancelled || !front.scan->closed()) return;
  front.cancelled = true;
  port_->ring.cancel(front.cid);
}

void Feeder::condemn(const char* why, uint32_t fault) {
  if (condemned_) return;
  condemned_ = true;
  if (!in_flight_.empty() && in_flight_.front().scan) in_flight_.front().fault = fault;
  // A dead slot's last words may be lies too; the process that now has its place is not to blame.
  if (hub_.supervisor && port_->alive.load()) hub_.supervisor->condemn(slot_, why);
}

/**
 * Whether the running command is the one whose deadline was meant. The one before it may have completed between the
 * decision to kill and the kill: who came after it then is not to blame.
 */
bool Feeder::overdue() const {
  if (in_flight_.empty()) return false;
  const InFlight& front = in_flight_.front();
  return (front.ran_ns + monotonic_ns() - front.running_since_ns) / 1'000'000 >= front.budget_ms;
}

/** The morsel that ran when the process ended. */
void Feeder::lose_front(InFlight& front, SlotDownReason reason, bool loading, bool was_overdue) {
  const std::string who = "slot " + std::to_string(slot_) + " ";
  if (reason == SlotDownReason::kDeadline && !was_overdue && front.out_bytes == 0) {
    front.scan->give_back_from_device(front.morsel);
    return;
  }
  if (reason == SlotDownReason::kDeadline && was_overdue) {
    const std::string text = loading ? slow_to_compile(front.scan->spec) : "the kernel passed its deadline of " + std::to_string(front.scan->spec.deadline_ms) + " ms and did not stop";
    front.scan->fault(front.morsel, wire::kGuestFaultTimeout, slot_, who + "was killed: " + text);
    return;
  }
  if (reason == SlotDownReason::kOutOfMemory) {
    // Run again it would take the next slot with it.
    front.scan->fault(front.morsel, wire::kGuestFaultMemoryLimit, slot_, who + "ended: " + (loading ? kCompileMemory : "the kernel took more memory than a slot has"));
    return;
  }
  const std::string text = who + "ended under the kernel (" + port_->end + ")";
  if (front.out_bytes > 0) front.scan->fault(front.morsel, wire::kGuestFaultSlotKilled, slot_, text);  // frames are out already: a second run would repeat them
  else front.scan->lose_on_device(front.morsel, slot_, text + ", a second time");
}

void Feeder::lose_all(SlotDownReason reason) {
  held_.reset();
  bool first = true;  // the first Execute is the one that ran, or whose Load did
  const bool loading = !in_flight_.empty() && in_flight_.front().kind == Kind::kLoad;
  // Commands of a stream have no morsel; whatever ran behind one was not what ran.
  const bool first_ran = in_flight_.empty() || in_flight_.front().kind == Kind::kExecute || loading;
  const bool was_overdue = overdue();
  const bool lied = condemned_ && !in_flight_.empty() && in_flight_.front().fault == wire::kGuestFaultAbiViolation;
  // What crashed is what ran; a lost last word (a slot that completed everything) is nobody's.
  if ((reason == SlotDownReason::kCrashed || reason == SlotDownReason::kOutOfMemory || lied) && !in_flight_.empty() && hub_.crashed(*in_flight_.front().module))
    for (InFlight& entry : in_flight_)
      if (entry.scan && entry.fault == 0 && entry.module == in_flight_.front().module) entry.fault = wire::kStatusKernelQuarantined;
  for (InFlight& entry : in_flight_) {
    if (entry.kind != Kind::kExecute) continue;
    feed_.release(entry.inputs);
    if (entry.fault != 0) entry.scan->fault(entry.morsel, entry.fault, slot_, entry.fault_text);
    else if (!first || !first_ran || reason == SlotDownReason::kStopped) entry.scan->give_back_from_device(entry.morsel);
    else lose_front(entry, reason, loading, was_overdue);
    first = false;
  }
  // The Load that cost the slot may have been for the morsel that still waited for room.
  give_back_staged();
  if (pending_ && first && loading && was_overdue && reason == SlotDownReason::kDeadline) pending_->scan->fault(pending_->morsel, wire::kGuestFaultTimeout, slot_, slow_to_compile(pending_->scan->spec));
  else if (pending_ && first && loading && reason == SlotDownReason::kOutOfMemory) pending_->scan->fault(pending_->morsel, wire::kGuestFaultMemoryLimit, slot_, kCompileMemory);
  else if (pending_) pending_->scan->give_back_from_device(pending_->morsel);
  // One that had not begun here. The slot's own is let go once, below: in between another slot may have taken it up.
  if (pending_ && pending_->scan->spec.stream && pending_->scan != streaming_) pending_->scan->stream_lost();
  pending_.reset();
  lose_stream(reason, was_overdue);
  counters_.slot_depth.fetch_sub(in_flight_.size(), std::memory_order_relaxed);
  in_flight_.clear();
  executes_in_flight_ = 0;
  load_in_flight_ = false;
  if (!stopping_.load()) hub_.kick_all();
}

}  // namespace millrace
