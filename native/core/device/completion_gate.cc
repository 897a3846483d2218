#include "core/device/completion_gate.h"

#include <immintrin.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <vector>

#include "core/model/clock.h"

namespace millrace {

namespace {

/** A sleep ends this much before the due time, the rest is spun: a wake-up takes some microseconds on an idle core, some tens on a cold one. */
constexpr uint64_t kMarginNsMin = 10'000;
constexpr uint64_t kMarginNsMax = 80'000;
/** Spinning while others want the core makes everybody late: after an involuntary switch it is left off for this long, doubling. */
constexpr uint64_t kBackoffNsMin = 1'000'000;
constexpr uint64_t kBackoffNsMax = 100'000'000;

long involuntary_switches() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

}  // namespace

CompletionGate::CompletionGate(const ModelSettings& settings, uint64_t capacity_bytes)
    : settings_(settings), model_(settings, capacity_bytes), wake_(make_event_fd()), margin_ns_(2 * kMarginNsMin), thread_([this] { run(); }) {}

CompletionGate::~CompletionGate() {
  stopping_.store(true);
  Waker::event_fd(wake_.get()).wake();
  thread_.join();
}

uint64_t CompletionGate::due_ns(const ModelCommand& command, uint64_t at_ns) {
  const std::lock_guard lock(model_mutex_);
  return model_.complete_ns(command, at_ns);
}

void CompletionGate::transfer(uint64_t bytes, bool goes_on, std::function<void()> arrived) {
  const uint64_t now_ns = monotonic_ns();
  // The sender of a stream goes on when its last part has arrived, a latency after the pipe was free for the next.
  const uint64_t ready_ns = goes_on ? now_ns - std::min(now_ns, settings_.link.latency_ns) : now_ns;
  uint64_t due = 0;
  {
    const std::lock_guard lock(model_mutex_);
    // Transfers go first come first served; what media brings goes through the gaps.
    due = model_.complete_ns({.op = ModelOp::kTransfer, .bytes = bytes}, std::max(ready_ns, transfers_free_ns_));
    transfers_free_ns_ = due - settings_.link.latency_ns;
  }
  hold(due, std::move(arrived));
}

uint64_t CompletionGate::due_ns(std::span<const ModelStep> steps, uint64_t at_ns) {
  const std::lock_guard lock(model_mutex_);
  return model_.complete_ns(steps, at_ns);
}

void CompletionGate::hold(uint64_t due_ns, std::function<void()> done) {
  const uint64_t now_ns = monotonic_ns();
  {
    const std::lock_guard lock(mutex_);
    if (due_ns > now_ns) {
      waiting_.emplace(due_ns, std::move(done));
      // ORDER: seq_cst on both words: either the gate's thread sees the new due time in its last look, or we see that it sleeps.
      const bool sooner = due_ns < next_due_ns_.load();
      if (sooner) next_due_ns_.store(due_ns);
      if (sooner && sleeping_.load()) Waker::event_fd(wake_.get()).wake();
      return;
    }
    lateness_.add(now_ns - due_ns);
  }
  done();
}

void CompletionGate::run() {
  ::prctl(PR_SET_TIMERSLACK, 1ul);  // nanoseconds; the default adds 50 us to every sleep
  std::vector<std::pair<uint64_t, std::function<void()>>> due;
  for (;;) {
    const bool last_turn = stopping_.load();
    due.clear();
    {
      const std::lock_guard lock(mutex_);
      const uint64_t now_ns = monotonic_ns();
      while (!waiting_.empty() && (last_turn || waiting_.begin()->first <= now_ns)) {
        due.emplace_back(waiting_.begin()->first, std::move(waiting_.begin()->second));
        waiting_.erase(waiting_.begin());
      }
      next_due_ns_.store(waiting_.empty() ? ~0ull : waiting_.begin()->first);
    }
    for (auto& [due_at_ns, done] : due) {
      // Counted before the host can see it: whoever has all completions finds all of them here.
      if (!last_turn) {
        const uint64_t now_ns = monotonic_ns();
        const std::lock_guard lock(mutex_);
        lateness_.add(now_ns - due_at_ns);
      }
      done();
    }
    if (!due.empty()) continue;
    if (last_turn) return;
    wait();
  }
}

void CompletionGate::wait() {
  uint64_t now_ns = monotonic_ns();
  const bool spins = now_ns >= unspun_until_ns_;
  const uint64_t margin_ns = spins ? margin_ns_ : 0;
  uint64_t due_ns = next_due_ns_.load();
  if (due_ns == ~0ull || due_ns > now_ns + margin_ns) {
    sleeping_.store(true);
    due_ns = next_due_ns_.load();
    const uint64_t until_ns = due_ns == ~0ull ? due_ns : due_ns - std::min(due_ns, margin_ns);
    if (!stopping_.load() && until_ns > now_ns) {
      pollfd fd{wake_.get(), POLLIN, 0};
      const uint64_t sleep_ns = until_ns - now_ns;
      const timespec timeout{static_cast<time_t>(sleep_ns / 1'000'000'000), static_cast<long>(sleep_ns % 1'000'000'000)};
      if (::ppoll(&fd, 1, due_ns == ~0ull ? nullptr : &timeout, nullptr) > 0) {
        uint64_t count = 0;
        [[maybe_unused]] auto n = ::read(wake_.get(), &count, sizeof count);
      } else if (spins) {
        // Slept past the due time: leave more for spinning next time; far less than asked: leave less.
        const uint64_t woke_ns = monotonic_ns();
        const uint64_t over_ns = woke_ns - std::min(woke_ns, until_ns);
        margin_ns_ = over_ns + kMarginNsMin / 2 > margin_ns_ ? std::min(kMarginNsMax, margin_ns_ * 2) : std::max(kMarginNsMin, margin_ns_ - margin_ns_ / 16);
      }
    }
    sleeping_.store(false);
    return;
  }
  const long switches = involuntary_switches();
  while ((due_ns = next_due_ns_.load(std::memory_order_relaxed)) > (now_ns = monotonic_ns()) && due_ns <= now_ns + margin_ns + kMarginNsMax && !stopping_.load(std::memory_order_relaxed)) _mm_pause();
  if (involuntary_switches() != switches) {
    backoff_ns_ = std::clamp(backoff_ns_ * 2, kBackoffNsMin, kBackoffNsMax);
    unspun_until_ns_ = now_ns + backoff_ns_;
  } else {
    backoff_ns_ /= 2;
  }
}

}  // namespace millrace
