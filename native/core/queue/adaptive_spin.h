// Spin before sleeping, only where that pays. A sleep costs the waker a system call and the sleeper its way back onto a core
// (5 to 40 us on a virtual machine whose idle cores halt), so two sides that both sleep stay slow however quick the work is:
// each sees waits too long to spin for. Hence trials: a few waits spin for longer than a wake takes; where waits then turn out
// short, spinning goes on, else it rests, each failed trial for twice as many waits. A sleep that ends at once starts a trial,
// so that one side's trial brings the other's along. Past 2 us a spin yields its core each round: on few cores the peer may
// wait for just this one, and a core that others want is given up.
#pragma once
#include <immintrin.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace millrace {

class AdaptiveSpin {
 public:
  /** Longer than a wake takes: what a trial has to outlast. */
  static constexpr uint64_t kSpinNsMax = 50'000;
  /** A spin up to here never yields: what a slot may spin, whose jail knows no such call. */
  static constexpr uint64_t kPauseNs = 2'000;

  explicit AdaptiveSpin(uint64_t spin_ns_max = kSpinNsMax) : spin_ns_max_(spin_ns_max) {}

  /** Calls `ready` until it is true or the wait no longer pays. True: something came. False: sleep, then call woke(). */
  template <typename Ready>
  bool wait(Ready&& ready) {
    if (ready()) return true;
    if (resting_ > 0 && --resting_ > 0) {
      slept_from_ns_ = now_ns();
      return false;
    }
    const uint64_t start = now_ns();
    uint64_t now = start;
    bool taken = false;
    while (now - start < spin_ns_max_ && !taken) {
      if (now - start >= kPauseNs) {
        ::sched_yield();
        const uint64_t before = std::exchange(now, now_ns());
        taken = now - before > kTakenNs;
      }
      for (int i = 0; i < 8; i++) {
        _mm_pause();
        if (!ready()) continue;
        if (now - start <= kWorthNs && !taken) won();
        else lost(1);
        return true;
      }
      now = now_ns();
    }
    lost(2);
    slept_from_ns_ = now;
    return false;
  }

  /** A sleep ended. */
  void woke() {
    if (resting_ > 0 && now_ns() - slept_from_ns_ <= kWakeNs) resting_ = 0;
  }

 private:
  /** Spinning so long costs a core less than it saves; a wait that outlasts it is not spun for. */
  static constexpr uint64_t kWorthNs = 10'000;
  /** A yield that takes longer let somebody else run: the core is wanted. Where that is the peer, a sleep has it woken on an idle core. */
  static constexpr uint64_t kTakenNs = 1'500;
  /** A wake and a quick answer: a sleep so short was one too many. */
  static constexpr uint64_t kWakeNs = 25'000;
  static constexpr int kTrial = 8;
  static constexpr uint32_t kRestMin = 64;
  static constexpr uint32_t kRestMax = 256;

  void won() {
    credit_ = kTrial;
    rest_ = kRestMin;
  }
  void lost(int by) {
    if ((credit_ -= by) > 0) return;
    credit_ = kTrial;
    resting_ = rest_;
    rest_ = std::min(rest_ * 2, kRestMax);
  }
  static uint64_t now_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000ull + static_cast<uint64_t>(t.tv_nsec);
  }
  uint64_t spin_ns_max_;
  int credit_ = kTrial;
  uint32_t resting_ = 0;
  uint32_t rest_ = kRestMin;
  uint64_t slept_from_ns_ = 0;
};

}  // namespace millrace
