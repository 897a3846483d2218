// Spin before sleeping, only as long as spinning pays. Measured on two unpinned cores: a fixed spin over 2 us makes the
// spinner block its peer (42 us round trips), no spin costs 1.5 us per wake. So: budget doubles on a hit, halves on a miss.
#pragma once
#include <immintrin.h>
#include <time.h>

#include <algorithm>
#include <cstdint>

namespace millrace {

class AdaptiveSpin {
 public:
  /** Calls `ready` until it is true or the budget is spent. True: something came. */
  template <typename Ready>
  bool wait(Ready&& ready) {
    if (ready()) return true;
    if (budget_ns_ == 0 && ++skipped_ < kProbeEvery) return false;
    skipped_ = 0;
    const uint64_t budget = std::max(budget_ns_, kProbeNs);
    const uint64_t start = now_ns();
    do {
      for (int i = 0; i < 8; i++) {
        _mm_pause();
        if (ready()) {
          budget_ns_ = std::min(kBudgetNsMax, budget * 2);
          return true;
        }
      }
    } while (now_ns() - start < budget);
    budget_ns_ = budget_ns_ <= kProbeNs ? 0 : budget_ns_ / 2;
    return false;
  }

 private:
  static constexpr uint64_t kBudgetNsMax = 2000;
  static constexpr uint64_t kProbeNs = 125;
  static constexpr uint32_t kProbeEvery = 64;
  static uint64_t now_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000ull + static_cast<uint64_t>(t.tv_nsec);
  }
  uint64_t budget_ns_ = 500;
  uint32_t skipped_ = 0;
};

}  // namespace millrace
