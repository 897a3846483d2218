// Which morsels of a scan nobody took yet: one atomic (head, tail). Slots take from the head, hosts claim runs from the
// tail; whoever moves the pair owns the morsels between. Morsels that came back are kept beside it by the scan.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>

namespace millrace {

struct MorselRun {
  uint32_t first = 0;
  uint32_t count = 0;
};

class MorselPool {
 public:
  explicit MorselPool(uint32_t morsels) : range_(pack(0, morsels)) {}

  MorselRun take_head(uint32_t wanted) {
    return move([wanted](uint32_t& head, uint32_t& tail) {
      const MorselRun run{head, std::min(wanted, tail - head)};
      head += run.count;
      return run;
    });
  }
  MorselRun take_tail(uint32_t wanted) {
    return move([wanted](uint32_t& head, uint32_t& tail) {
      const uint32_t count = std::min(wanted, tail - head);
      tail -= count;
      return MorselRun{tail, count};
    });
  }
  MorselRun take_all() { return take_head(0xffffffffu); }
  uint32_t head() const { return head_of(range_.load(std::memory_order_acquire)); }
  uint32_t left() const {
    const uint64_t range = range_.load(std::memory_order_acquire);
    return tail_of(range) - head_of(range);
  }

 private:
  static uint64_t pack(uint32_t head, uint32_t tail) { return uint64_t{tail} << 32 | head; }
  static uint32_t head_of(uint64_t range) { return static_cast<uint32_t>(range); }
  static uint32_t tail_of(uint64_t range) { return static_cast<uint32_t>(range >> 32); }

  template <typename Step>
  MorselRun move(Step step) {
    uint64_t range = range_.load(std::memory_order_relaxed);
    for (;;) {
      uint32_t head = head_of(range);
      uint32_t tail = tail_of(range);
      const MorselRun run = step(head, tail);
      // ORDER: acq_rel so that who sees an empty pool also sees what the takers wrote before.
      if (run.count == 0 || range_.compare_exchange_weak(range, pack(head, tail), std::memory_order_acq_rel, std::memory_order_relaxed)) return run;
    }
  }

  std::atomic<uint64_t> range_;
};

}  // namespace millrace
