// Feeder, modelled media: chunks that were read are computed on when the media had brought them. Slower cores: a completion the slot made in t is looked at factor x t after its command began. The slot is idle
// meanwhile, so many slow cores fit one real one; nothing else waits, for nobody sleeps here.
#include <sys/timerfd.h>

#include <algorithm>

#include "core/model/clock.h"
#include "core/scan/feeder.h"

namespace millrace {

/** The command begins now, or goes on. */
void Feeder::mark_started(InFlight& entry) {
  if (!hub_.core.on()) return;
  entry.started_ns = monotonic_ns();
  entry.started_cpu_ns = process_cpu_ns(port_->pid);
}

/** True: the completion is kept until the modelled core is through. */
bool Feeder::hold(const wire::Cqe& cqe) {
  if (!hub_.core.on() || in_flight_.empty()) return false;
  const InFlight& front = in_flight_.front();
  // Only kernels' work on morsels is stretched; and what is out of order is a lie, for complete() to find out.
  if (front.kind != Kind::kExecute || front.stalled || front.cid != cqe.cid) return false;
  const uint64_t now_ns = monotonic_ns();
  const uint64_t cpu_now_ns = process_cpu_ns(port_->pid);
  const uint64_t cpu_ns = cpu_now_ns - std::min(cpu_now_ns, front.started_cpu_ns);
  const uint64_t until_ns = hub_.core.release_ns(front.started_ns, cpu_ns);
  Counters::add(counters_.core_cpu_ns, cpu_ns);
  Counters::add(counters_.core_model_ns, until_ns - front.started_ns);
  if (until_ns <= now_ns) return false;
  if (hub_.supervisor) hub_.supervisor->command_finished(slot_, front.cid);
  held_ = Held{cqe, until_ns};
  itimerspec at{};
  at.it_value.tv_sec = static_cast<time_t>(until_ns / 1'000'000'000);
  at.it_value.tv_nsec = static_cast<long>(until_ns % 1'000'000'000);
  invariant(::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &at, nullptr) == 0, "a timer takes a time of its own clock");
  return true;
}

/** True: it was its time (or `now` said so, or nobody waits for it any more) and the completion was taken. */
bool Feeder::release_held(bool now) {
  if (!held_ || (!now && monotonic_ns() < held_->until_ns && !in_flight_.front().scan->closed())) return false;
  const wire::Cqe cqe = held_->cqe;
  held_.reset();
  complete(cqe);
  return true;
}

bool Feeder::hold_staged(TakenMorsel& taken, StagedInputs& inputs, uint32_t program) {
  // Beyond depth() it waits for the slot, however soon the media is there.
  if (!hub_.media || (executes_in_flight_ < depth() && feed_.ready_ns() <= monotonic_ns())) return false;
  staged_ = Staged{std::move(taken), std::move(inputs), program, feed_.ready_ns()};
  itimerspec at{};
  at.it_value.tv_sec = static_cast<time_t>(staged_->ready_ns / 1'000'000'000);
  at.it_value.tv_nsec = static_cast<long>(staged_->ready_ns % 1'000'000'000);
  if (staged_->ready_ns > 0) invariant(::timerfd_settime(media_timer_.get(), TFD_TIMER_ABSTIME, &at, nullptr) == 0, "a timer takes a time of its own clock");
  return true;
}

/** True: what was staged is over, begun or given back. */
bool Feeder::staged_ready() {
  if (staged_->taken.scan->closed()) {
    give_back_staged();
    return true;
  }
  if (executes_in_flight_ >= depth() || monotonic_ns() < staged_->ready_ns) return false;
  Staged staged = std::move(*staged_);
  staged_.reset();
  execute(std::move(staged.taken), std::move(staged.inputs), staged.program);
  return true;
}

void Feeder::give_back_staged() {
  if (!staged_) return;
  feed_.release(staged_->inputs);
  staged_->taken.scan->give_back_from_device(staged_->taken.morsel);
  staged_.reset();
}

}  // namespace millrace
