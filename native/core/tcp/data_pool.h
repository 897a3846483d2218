// Memory for the data of one host's commands, in power-of-two pieces up to one transfer. Used by the host's I/O thread only.
//
// A host has a share of its own, enough for any one command, and beyond it takes from what all hosts share. So nobody waits for
// another host to give something back: its own commands end, and what they held serves the next.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "core/limits.h"

namespace millrace {

/** What the commands of all hosts hold beyond their own shares. Any thread. */
class DataBudget {
 public:
  bool take(uint64_t bytes) {
    uint64_t used = used_.load(std::memory_order_relaxed);
    do {
      if (used + bytes > kTcpSharedBytesMax) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }
  void give(uint64_t bytes) { used_.fetch_sub(bytes); }
  uint64_t used_bytes() const { return used_.load(std::memory_order_relaxed); }
  /** Others may soon find too little: nothing is kept for later. */
  bool tight() const { return used_bytes() > kTcpSharedBytesMax / 2; }

 private:
  std::atomic<uint64_t> used_{0};
};

class DataPool {
 public:
  /** LIFETIME: the budget outlives it. */
  explicit DataPool(DataBudget& budget) : budget_(budget) {}
  /** LIFETIME: connections go first and give back what their commands held. */
  ~DataPool() { shrink(0); }
  DataPool(const DataPool&) = delete;
  DataPool& operator=(const DataPool&) = delete;

  /** At least `bytes` (at most kTransferBytesMax), page-aligned; nullptr: the host holds as much as it may, or all hosts do. Never another host's bytes. */
  std::byte* take(uint64_t bytes) {
    const size_t size_class = class_of(bytes);
    auto& pieces = free_[size_class];
    if (!pieces.empty()) {
      std::byte* piece = pieces.back();
      pieces.pop_back();
      return piece;
    }
    const uint64_t piece_bytes = bytes_of(size_class);
    if (!reserve(piece_bytes)) {
      shrink(0);
      if (!reserve(piece_bytes)) return nullptr;
    }
    auto* piece = static_cast<std::byte*>(std::aligned_alloc(kPageBytes, piece_bytes));
    if (!piece) {
      unreserve(piece_bytes);
      return nullptr;
    }
    std::memset(piece, 0, piece_bytes);  // it may have been anybody's
    return piece;
  }
  /** `bytes` as at take(). */
  void give(std::byte* piece, uint64_t bytes) {
    free_[class_of(bytes)].push_back(piece);
    if (held_bytes_ > kTcpHostOwnBytes && budget_.tight()) shrink(kTcpHostOwnBytes);
  }
  /** Gives unused pieces back to the system, the largest first, until no more than this is held. */
  void shrink(uint64_t to_bytes) {
    for (size_t c = kClasses; c-- > 0;)
      while (held_bytes_ > to_bytes && !free_[c].empty()) {
        std::free(free_[c].back());
        free_[c].pop_back();
        unreserve(bytes_of(c));
      }
  }

  uint64_t held_bytes() const { return held_bytes_; }

 private:
  static constexpr uint64_t kLeastBytes = kTcpInCapsuleBytes;
  static constexpr size_t kClasses = std::bit_width(kTransferBytesMax / kLeastBytes);
  static_assert(std::has_single_bit(kLeastBytes) && std::has_single_bit(kTransferBytesMax));
  static size_t class_of(uint64_t bytes) { return bytes <= kLeastBytes ? 0 : static_cast<size_t>(std::bit_width((bytes - 1) / kLeastBytes)); }
  static uint64_t bytes_of(size_t size_class) { return kLeastBytes << size_class; }
  static uint64_t shared_of(uint64_t held_bytes) { return held_bytes > kTcpHostOwnBytes ? held_bytes - kTcpHostOwnBytes : 0; }
  bool reserve(uint64_t bytes) {
    if (held_bytes_ + bytes > kTcpHostBytesMax || !budget_.take(shared_of(held_bytes_ + bytes) - shared_of(held_bytes_))) return false;
    held_bytes_ += bytes;
    return true;
  }
  void unreserve(uint64_t bytes) {
    budget_.give(shared_of(held_bytes_) - shared_of(held_bytes_ - bytes));
    held_bytes_ -= bytes;
  }

  DataBudget& budget_;
  std::array<std::vector<std::byte*>, kClasses> free_;
  uint64_t held_bytes_ = 0;
};

}  // namespace millrace
