// First-fit allocator of 4 KiB pages with coalescing over one range of the SLM. First fit keeps a small working set at the
// low addresses, which therefore stay in the caches. Not thread-safe: its holder locks.
#pragma once
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>

#include "core/invariant.h"
#include "core/limits.h"

namespace millrace {

class PageAllocator {
 public:
  /** base and bytes are multiples of kPageBytes. */
  PageAllocator(uint64_t base, uint64_t bytes) : base_(base), bytes_(bytes), free_bytes_(bytes) {
    invariant(base % kPageBytes == 0 && bytes % kPageBytes == 0, "page range is aligned");
    if (bytes > 0) free_.emplace(base, bytes);
  }

  static uint64_t round_up(uint64_t bytes) { return (bytes + kPageBytes - 1) & ~(kPageBytes - 1); }

  /** Offset of `bytes` (rounded up to pages, at least one). */
  std::optional<uint64_t> take(uint64_t bytes) {
    const uint64_t want = round_up(bytes == 0 ? 1 : bytes);
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->second < want) continue;
      const uint64_t at = it->first;
      const uint64_t left = it->second - want;
      it = free_.erase(it);
      if (left > 0) free_.emplace_hint(it, at + want, left);
      free_bytes_ -= want;
      return at;
    }
    return std::nullopt;
  }

  /** What take(bytes) gave. */
  void give(uint64_t at, uint64_t bytes) {
    uint64_t start = at;
    uint64_t length = round_up(bytes == 0 ? 1 : bytes);
    invariant(at >= base_ && at + length <= base_ + bytes_, "pages come back to where they are from");
    free_bytes_ += length;
    auto next = free_.lower_bound(at);
    invariant(next == free_.end() || at + length <= next->first, "pages come back once");
    if (next != free_.end() && next->first == at + length) {
      length += next->second;
      next = free_.erase(next);
    }
    if (next != free_.begin()) {
      const auto before = std::prev(next);
      invariant(before->first + before->second <= at, "pages come back once");
      if (before->first + before->second == at) {
        start = before->first;
        length += before->second;
        next = free_.erase(before);
      }
    }
    free_.emplace_hint(next, start, length);
  }

  uint64_t bytes() const { return bytes_; }
  uint64_t free_bytes() const { return free_bytes_; }

 private:
  uint64_t base_;
  uint64_t bytes_;
  uint64_t free_bytes_;
  std::map<uint64_t, uint64_t> free_;  // offset -> bytes
};

}  // namespace millrace
