// Bitmaps in Arrow's and DuckDB's common order: bit i is bit i % 8 of byte i / 8.
#pragma once
#include <cstddef>
#include <cstdint>

namespace millrace::bridge {

inline size_t bitmap_bytes(size_t bits) { return (bits + 7) / 8; }

inline bool bit_at(const uint64_t* words, size_t index) { return (words[index >> 6] >> (index & 63)) & 1; }

// The `count` (1..64) bits that start at bit `from`, in the low bits of the result. Reads the next word only when needed.
inline uint64_t bits_at(const uint64_t* words, size_t from, unsigned count) {
  const size_t word = from >> 6;
  const unsigned shift = from & 63;
  uint64_t value = words[word] >> shift;
  if (shift + count > 64) value |= words[word + 1] << (64 - shift);
  return count == 64 ? value : value & ((uint64_t{1} << count) - 1);
}

// Writes bits at any position of a bitmap in ascending order. The bitmap's bytes must be zero from `position` on.
class BitWriter {
 public:
  explicit BitWriter(uint8_t* bytes, size_t position = 0) : bytes_(bytes), position_(position) {}

  void put(uint64_t value, unsigned count) {
    while (count != 0) {
      const unsigned shift = position_ & 7;
      const unsigned room = 8 - shift < count ? 8 - shift : count;
      bytes_[position_ >> 3] |= static_cast<uint8_t>((value & ((1u << room) - 1)) << shift);
      value >>= room;
      position_ += room;
      count -= room;
    }
  }
  void put_ones(size_t count) {
    for (; count >= 64; count -= 64) put(~uint64_t{0}, 64);
    if (count != 0) put(~uint64_t{0}, static_cast<unsigned>(count));
  }

 private:
  uint8_t* bytes_;
  size_t position_;
};

}  // namespace millrace::bridge
