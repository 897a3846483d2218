// Memory for the data of one host's commands, in power-of-two pieces up to one transfer. Used by the host's I/O thread only.
#pragma once
#include <array>
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

class DataPool {
 public:
  DataPool() = default;
  ~DataPool() {
    for (auto& pieces : free_)
      for (std::byte* piece : pieces) std::free(piece);
  }
  DataPool(const DataPool&) = delete;
  DataPool& operator=(const DataPool&) = delete;

  /** At least `bytes` (at most kTransferBytesMax), page-aligned; nullptr: the host holds as much as it may. Never another host's bytes. */
  std::byte* take(uint64_t bytes) {
    const size_t size_class = class_of(bytes);
    auto& pieces = free_[size_class];
    if (!pieces.empty()) {
      std::byte* piece = pieces.back();
      pieces.pop_back();
      return piece;
    }
    const uint64_t piece_bytes = bytes_of(size_class);
    for (size_t c = kClasses; c-- > 0 && held_bytes_ + piece_bytes > kTcpHostBytesMax;) trim(c);
    if (held_bytes_ + piece_bytes > kTcpHostBytesMax) return nullptr;
    auto* piece = static_cast<std::byte*>(std::aligned_alloc(kPageBytes, piece_bytes));
    if (!piece) return nullptr;
    std::memset(piece, 0, piece_bytes);  // it may have been anybody's
    held_bytes_ += piece_bytes;
    return piece;
  }
  /** `bytes` as at take(). */
  void give(std::byte* piece, uint64_t bytes) { free_[class_of(bytes)].push_back(piece); }

  uint64_t held_bytes() const { return held_bytes_; }

 private:
  static constexpr uint64_t kLeastBytes = kTcpInCapsuleBytes;
  static constexpr size_t kClasses = std::bit_width(kTransferBytesMax / kLeastBytes);
  static_assert(std::has_single_bit(kLeastBytes) && std::has_single_bit(kTransferBytesMax));
  static size_t class_of(uint64_t bytes) { return bytes <= kLeastBytes ? 0 : static_cast<size_t>(std::bit_width((bytes - 1) / kLeastBytes)); }
  static uint64_t bytes_of(size_t size_class) { return kLeastBytes << size_class; }
  /** Gives unused pieces of a class back to the system. */
  void trim(size_t size_class) {
    auto& pieces = free_[size_class];
    for (std::byte* piece : pieces) std::free(piece);
    held_bytes_ -= pieces.size() * bytes_of(size_class);
    pieces.clear();
  }

  std::array<std::vector<std::byte*>, kClasses> free_;
  uint64_t held_bytes_ = 0;
};

}  // namespace millrace
