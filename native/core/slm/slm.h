// Subsystem local memory: one sealed memfd the slots map read-only. Laid out as one hot window per slot and the resident
// region, which scans see for as long as their slot lives; and behind them, one private window per slot for what a host's
// Execute is given, which no kernel sees but that one. No other memory ever holds chunk data on the device.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/shared_memory.h"
#include "core/slm/resident_cache.h"

namespace millrace {

class Slm {
 public:
  /** bytes: kSlmBytesMin..kSlmBytesMax. */
  Slm(uint64_t bytes, uint32_t slots);

  std::byte* at(uint64_t offset) const { return memory_.data() + offset; }
  /** What scans see, from offset 0. */
  uint64_t bytes() const { return bytes_; }
  /** With the private windows behind; pages nobody used cost nothing. */
  uint64_t mapped_bytes() const { return memory_.bytes(); }
  /** What slots get: cannot be mapped writable. */
  int read_only_fd() const { return read_only_.get(); }

  /** The hot window of slot `id` (1..slots); used by that slot's feeder only. */
  PageAllocator& window(uint32_t id) { return windows_[id - 1]; }
  /** The private window of slot `id`, as large; by the same feeder, who wipes what it gives back. */
  PageAllocator& private_window(uint32_t id) { return private_windows_[id - 1]; }
  uint64_t window_bytes() const { return window_bytes_; }
  ResidentCache& resident() { return *resident_; }
  const ResidentCache& resident() const { return *resident_; }
  /** Bytes below `offset + length` may hold something from now on (private windows left out). Any thread. */
  void touch(uint64_t offset, uint64_t length) {
    uint64_t high = touched_.load(std::memory_order_relaxed);
    while (high < offset + length && !touched_.compare_exchange_weak(high, offset + length, std::memory_order_relaxed)) {
    }
  }
  /** Everything reads as zero again, nothing is resident. Nobody may use it meanwhile. */
  void scrub();
  static uint64_t resident_bytes_for(uint64_t slm_bytes, uint32_t slots);

  /** Chunks read into windows because they were not resident (or were not to be). */
  std::atomic<uint64_t> window_loads{0};

 private:
  void lay_out(uint32_t slots);
  uint64_t bytes_;
  uint64_t window_bytes_;
  SharedMemory memory_;
  UniqueFd read_only_;
  std::vector<PageAllocator> windows_;
  std::vector<PageAllocator> private_windows_;
  std::unique_ptr<ResidentCache> resident_;
  std::atomic<uint64_t> touched_{0};
};

}  // namespace millrace
