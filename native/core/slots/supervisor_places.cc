// The supervisor, places: which process sits where. Candidates become slots or spares, the lost are replaced, tenants come and go.
#include <sys/epoll.h>

#include <algorithm>
#include <system_error>

#include "core/model/clock.h"
#include "core/slots/supervisor.h"
#include "jail/slot_contract.h"

namespace millrace {

namespace {

/** A slot starts in 40 ms of CPU; on a machine that gives it none for this long something else is wrong. */
constexpr uint64_t kStartNsMax = 20'000'000'000;
/** A start takes a core for 80 ms: not from the slot that has just taken a lost one's place, and whoever waits for that. */
constexpr uint64_t kHeadStartNs = 30'000'000;
constexpr uint64_t kBackoffNsMin = 100'000'000;
constexpr uint64_t kBackoffNsMax = 5'000'000'000;

std::string jail_text(uint32_t parts) {
  std::string text;
  for (const auto& [part, name] : kJailPartNames) text += std::string(text.empty() ? "" : " ") + ((parts & part) ? "" : "no-") + name;
  return text;
}

}  // namespace

std::optional<Supervisor::Wanted> Supervisor::next_seat() const {
  for (uint32_t id = 1; id < places_.size(); id++)
    if (!places_[id].process) return Wanted{places_[id].seat, no_spawn_before_ns_};
  for (uint32_t id = 1; id < places_.size(); id++) {
    const SlotSeat& seat = places_[id].seat;
    const bool have = std::any_of(spares_.begin(), spares_.end(), [&](const auto& spare) { return spare->seat().same(seat); });
    const bool room = spares_.size() < kSparesMax || std::any_of(spares_.begin(), spares_.end(), [this](const auto& spare) { return !seated(spare->seat()); });
    if (!have && room) return Wanted{seat, std::max(no_spawn_before_ns_, no_spare_before_ns_)};
  }
  return std::nullopt;
}

/** A process is started at a time: for an empty place first, then spares of what the places are. */
void Supervisor::refill(uint64_t now_ns) {
  for (uint32_t id = 1; id < places_.size(); id++) {
    if (places_[id].process) continue;
    auto spare = take_spare(places_[id].seat);
    if (!spare) continue;
    seat(id, std::move(spare));
    no_spare_before_ns_ = now_ns + kHeadStartNs;
  }
  if (candidate_) return;
  const auto next = next_seat();
  if (!next || now_ns < next->not_before_ns) return;
  try {
    candidate_ = SlotProcess::spawn(settings_, next->seat);
    candidate_deadline_ns_ = now_ns + kStartNsMax;
    candidate_silence_ = {};
    watch(candidate_->exit_fd(), kCandidateExit);
    watch(candidate_->done_fd(), kCandidateReady);
  } catch (const std::system_error& e) {
    candidate_.reset();
    no_spawn_before_ns_ = now_ns + kBackoffNsMax;
    engine_.event("slotFault", std::string("a slot cannot be started: ") + e.what());
  }
}

bool Supervisor::seated(const SlotSeat& seat) const {
  return std::any_of(places_.begin() + 1, places_.end(), [&seat](const Place& place) { return place.seat.same(seat); });
}

/** A ready process of the seat, if there is one that can serve. */
std::unique_ptr<SlotProcess> Supervisor::take_spare(const SlotSeat& seat) {
  for (size_t i = 0; i < spares_.size(); i++) {
    if (!spares_[i]->seat().same(seat)) continue;
    if (spares_[i]->stopped()) {
      drop_spare(i, "was stopped by somebody and is not used");
      return nullptr;
    }
    auto spare = std::move(spares_[i]);
    spares_.erase(spares_.begin() + static_cast<std::ptrdiff_t>(i));
    unwatch(spare->exit_fd());
    return spare;
  }
  return nullptr;
}

void Supervisor::drop_spare(size_t index, const char* why) {
  if (why) engine_.event("log", "the spare slot " + describe(*spares_[index]) + " " + why);
  unwatch(spares_[index]->exit_fd());
  spares_.erase(spares_.begin() + static_cast<std::ptrdiff_t>(index));
}

void Supervisor::on_spare_lost(int pid) {
  for (size_t i = 0; i < spares_.size(); i++) {
    if (spares_[i]->pid() != pid) continue;
    engine_.event("log", "the spare slot ended: " + spares_[i]->reap().text());
    drop_spare(i, nullptr);
    return;
  }
}

void Supervisor::on_candidate_ready() {
  failed_starts_ = 0;
  unwatch(candidate_->done_fd());
  unwatch(candidate_->exit_fd());
  if (!announced_) engine_.event("log", "slot jail: " + jail_text(candidate_->jail()));
  announced_ = true;
  for (uint32_t id = 1; id < places_.size(); id++) {
    if (places_[id].process || !places_[id].seat.same(candidate_->seat())) continue;
    seat(id, std::move(candidate_));
    return;
  }
  // It was started for a place that was given away meanwhile, or as a spare; one nobody sits like makes room first.
  for (size_t i = 0; i < spares_.size() && spares_.size() >= kSparesMax; i++)
    if (!seated(spares_[i]->seat())) drop_spare(i, nullptr);
  const bool have = std::any_of(spares_.begin(), spares_.end(), [this](const auto& spare) { return spare->seat().same(candidate_->seat()); });
  // A view nobody has any more is let go: it keeps its datasets' blocks from being used again.
  const bool stale = candidate_->seat().view && !seated(candidate_->seat());
  if (have || stale || spares_.size() >= kSparesMax) {
    candidate_.reset();
    return;
  }
  spares_.push_back(std::move(candidate_));
  watch(spares_.back()->exit_fd(), kSpareExit | static_cast<uint32_t>(spares_.back()->pid()));
}

void Supervisor::on_candidate_lost() {
  const bool retired = std::find(retiring_.begin(), retiring_.end(), candidate_->seat().bank) != retiring_.end();
  if (!retired) {
    failed_starts_++;
    no_spawn_before_ns_ = monotonic_ns() + std::min(kBackoffNsMax, kBackoffNsMin << std::min(failed_starts_, 10u));
  }
  engine_.event(retired ? "log" : "slotFault", "a slot " + describe(*candidate_) + " ended while it started: " + candidate_->reap().text());
  unwatch(candidate_->done_fd());
  unwatch(candidate_->exit_fd());
  candidate_.reset();
}

void Supervisor::seat(uint32_t id, std::unique_ptr<SlotProcess> process) {
  Place& place = places_[id];
  place.process = std::move(process);
  place.port = place.process->make_port(id);
  place.reason = SlotDownReason::kDied;
  place.condemned = nullptr;
  place.silence = {};
  cpu_share_.hold(place.process->pid(), place.process->seat().caps.cpu_percent);
  deadlines_.clear(id);
  watch(place.process->exit_fd(), id);
  publish();
  engine_.slot_up(place.port);
}

void Supervisor::on_slot_lost(uint32_t id) {
  Place& place = places_[id];
  if (!place.process) return;
  unwatch(place.process->exit_fd());
  cpu_share_.release(place.process->pid());
  const SlotProcess::End end = place.process->reap();
  SlotDownReason reason = place.reason;
  if (reason == SlotDownReason::kDied && end.by_itself) reason = end.out_of_memory ? SlotDownReason::kOutOfMemory : SlotDownReason::kCrashed;
  vacate(id, end.how, reason, place.condemned ? place.condemned : reason == SlotDownReason::kOutOfMemory ? "its memory ran out" : end.text());
}

/**
 * Its command passed its deadline, and SIGKILL is on its way. What a process frees when it ends takes 10 ms for 256 MiB, and nobody needs to wait for
 * that: its place is free now. It has its own ring and output, which nobody reads any more, and maps all else read-only; the
 * memory of its tenant is scrubbed only when it is gone (finish_retiring).
 */
void Supervisor::give_up(uint32_t id) {
  Place& place = places_[id];
  // One that does not end, for the machine does not let it, is waited for like any other: on_slot_lost.
  if (!place.process || dying_.size() >= kDyingMax) return;
  unwatch(place.process->exit_fd());
  watch(place.process->exit_fd(), kDyingExit | static_cast<uint32_t>(place.process->pid()));
  dying_.push_back(std::move(place.process));
  vacate(id, "signal 9", place.reason, "");
}

void Supervisor::on_dying_gone(int pid) {
  const auto it = std::find_if(dying_.begin(), dying_.end(), [pid](const auto& process) { return process->pid() == pid; });
  if (it == dying_.end()) return;
  unwatch((*it)->exit_fd());
  cpu_share_.release(pid);
  (*it)->reap();
  dying_.erase(it);
}

/** The place is empty from now on; the engine hears of it before anybody else gets it. */
void Supervisor::vacate(uint32_t id, const std::string& how, SlotDownReason reason, const std::string& why) {
  Place& place = places_[id];
  const auto port = std::move(place.port);
  const std::string who = "slot " + std::to_string(id) + " (pid " + std::to_string(port->pid) + ")";
  deadlines_.clear(id);
  port->alive.store(false, std::memory_order_release);
  port->end = how;
  place.process.reset();
  publish();
  engine_.slot_down(port, reason);
  if (reason == SlotDownReason::kStopped) return;
  engine_.event("slotReplaced", who + " is replaced: " + (reason == SlotDownReason::kDeadline ? "its command passed its deadline and did not stop" : why));
}

void Supervisor::take_condemned() {
  for (uint32_t id = 1; id < places_.size(); id++) {
    const char* why = nullptr;
    {
      const std::lock_guard lock(mutex_);
      std::swap(why, condemned_[id]);
    }
    if (!why || !places_[id].process) continue;
    places_[id].condemned = why;
    places_[id].process->kill();
  }
}

void Supervisor::take_changes() {
  std::vector<std::pair<uint32_t, SlotSeat>> reseats;
  std::vector<uint32_t> retires;
  {
    const std::lock_guard lock(mutex_);
    reseats.swap(reseats_);
    retires.swap(retires_);
  }
  // ORDER: a bank is retired after it was a seat, never the other way round in one batch: its tenant has to come anew first.
  for (const auto& [slot, seat] : reseats) {
    Place& place = places_[slot];
    place.seat = seat;
    if (!place.process || place.process->seat().same(seat)) continue;
    place.reason = SlotDownReason::kStopped;
    place.process->kill();
  }
  if (!reseats.empty())
    for (size_t i = spares_.size(); i-- > 0;)
      if (spares_[i]->seat().view && !seated(spares_[i]->seat())) drop_spare(i, nullptr);
  for (const uint32_t bank : retires) {
    retiring_.push_back(bank);
    for (Place& place : places_) {
      if (place.seat.bank == bank) place.seat = settings_.seat;
      if (!place.process || place.process->seat().bank != bank) continue;
      place.reason = SlotDownReason::kStopped;
      place.process->kill();
    }
    for (size_t i = spares_.size(); i-- > 0;)
      if (spares_[i]->seat().bank == bank) drop_spare(i, nullptr);
    if (candidate_ && candidate_->seat().bank == bank) candidate_->kill();
  }
}

void Supervisor::finish_retiring() {
  std::erase_if(retiring_, [this](uint32_t bank) {
    const bool mapped = (candidate_ && candidate_->seat().bank == bank) || std::any_of(places_.begin(), places_.end(), [bank](const Place& place) { return place.process && place.process->seat().bank == bank; }) ||
                        std::any_of(dying_.begin(), dying_.end(), [bank](const auto& process) { return process->seat().bank == bank; });
    if (!mapped) engine_.bank_unmapped(bank);
    return !mapped;
  });
}

}  // namespace millrace
