// The SLM namespace as one host sees it: an address space of its own that reads zeros until it is written. No other host
// reaches it, and kernels see of it only what an Execute names. Memory comes by the megabyte, out of one budget of the device.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/limits.h"

namespace millrace {

/** Bytes all hosts together hold. */
struct HostMemoryBudget {
  std::atomic<uint64_t> used{0};
};

class HostMemory {
 public:
  explicit HostMemory(HostMemoryBudget& budget) : budget_(budget), chunks_(kHostSlmBytes / kChunkBytes) {}
  ~HostMemory() { budget_.used.fetch_sub(held_); }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;

  static bool contains(uint64_t offset, uint64_t length) { return length <= kHostSlmBytes && offset <= kHostSlmBytes - length; }

  /** All of them any thread, the range must be contained. */
  void read(uint64_t offset, std::span<std::byte> to) const {
    const std::lock_guard lock(mutex_);
    each(offset, to.size(), [&](uint64_t chunk, uint64_t at, uint64_t from, uint64_t n) {
      if (chunks_[chunk]) std::memcpy(to.data() + from, chunks_[chunk].get() + at, n);
      else std::memset(to.data() + from, 0, n);
    });
  }
  /** False: the device's budget is used up; nothing was written. */
  bool write(uint64_t offset, std::span<const std::byte> data) {
    const std::lock_guard lock(mutex_);
    if (!hold(offset, data.size())) return false;
    each(offset, data.size(), [&](uint64_t chunk, uint64_t at, uint64_t from, uint64_t n) { std::memcpy(chunks_[chunk].get() + at, data.data() + from, n); });
    return true;
  }
  /** What write() would need: it cannot fail there afterwards. What nobody wrote still reads as zero. */
  bool reserve(uint64_t offset, uint64_t length) {
    const std::lock_guard lock(mutex_);
    return hold(offset, length);
  }
  void zero(uint64_t offset, uint64_t length) {
    const std::lock_guard lock(mutex_);
    each(offset, length, [&](uint64_t chunk, uint64_t at, uint64_t, uint64_t n) {
      if (chunks_[chunk]) std::memset(chunks_[chunk].get() + at, 0, n);
    });
  }

  /** Transfers beside the host's own commands go in pieces, so that those never wait for a whole one. */
  static constexpr uint64_t kTurnBytes = 1ull << 20;

 private:
  static constexpr uint64_t kChunkBytes = 1ull << 20;

  template <typename Piece>
  static void each(uint64_t offset, uint64_t length, Piece&& piece) {
    for (uint64_t from = 0; from < length;) {
      const uint64_t at = (offset + from) % kChunkBytes;
      const uint64_t n = std::min(kChunkBytes - at, length - from);
      piece((offset + from) / kChunkBytes, at, from, n);
      from += n;
    }
  }
  bool hold(uint64_t offset, uint64_t length) {
    uint64_t missing = 0;
    each(offset, length, [&](uint64_t chunk, uint64_t, uint64_t, uint64_t) { missing += chunks_[chunk] ? 0 : kChunkBytes; });
    if (budget_.used.fetch_add(missing) + missing > kHostSlmTotalBytes) {
      budget_.used.fetch_sub(missing);
      return false;
    }
    held_ += missing;
    each(offset, length, [&](uint64_t chunk, uint64_t, uint64_t, uint64_t) {
      if (!chunks_[chunk]) chunks_[chunk] = std::make_unique<std::byte[]>(kChunkBytes);
    });
    return true;
  }

  HostMemoryBudget& budget_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  uint64_t held_ = 0;
};

}  // namespace millrace
