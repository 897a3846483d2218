#include "core/crc32c.h"

#include <nmmintrin.h>

#include <array>
#include <cstring>

namespace millrace {

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78u;
constexpr size_t kLaneBytes = 4096;

/** What 4096 zero bytes do to a CRC, as four tables of 256: joins the lanes. */
using ZeroTables = std::array<std::array<uint32_t, 256>, 4>;

constexpr std::array<uint32_t, 32> squared(const std::array<uint32_t, 32>& m) {
  std::array<uint32_t, 32> out{};
  for (int i = 0; i < 32; i++) {
    uint32_t v = m[i];
    uint32_t sum = 0;
    for (int bit = 0; v != 0; v >>= 1, bit++)
      if (v & 1u) sum ^= m[bit];
    out[i] = sum;
  }
  return out;
}

constexpr ZeroTables make_zero_tables() {
  std::array<uint32_t, 32> m{};  // operator of one zero bit
  m[0] = kPolynomial;
  for (int i = 1; i < 32; i++) m[i] = 1u << (i - 1);
  for (size_t bits = 1; bits < kLaneBytes * 8; bits *= 2) m = squared(m);
  ZeroTables t{};
  for (int byte = 0; byte < 4; byte++)
    for (uint32_t v = 0; v < 256; v++) {
      uint32_t sum = 0;
      for (int bit = 0; bit < 8; bit++)
        if (v >> bit & 1u) sum ^= m[byte * 8 + bit];
      t[byte][v] = sum;
    }
  return t;
}

const ZeroTables kZero = make_zero_tables();

uint32_t shift(uint32_t crc) { return kZero[0][crc & 0xff] ^ kZero[1][crc >> 8 & 0xff] ^ kZero[2][crc >> 16 & 0xff] ^ kZero[3][crc >> 24]; }

uint64_t load(const unsigned char* p) {
  uint64_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}

}  // namespace

uint32_t crc32c(const void* bytes, size_t length, uint32_t seed) {
  const auto* p = static_cast<const unsigned char*>(bytes);
  uint64_t crc = ~seed;
  while (length >= 3 * kLaneBytes) {
    uint64_t a = crc;
    uint64_t b = 0;
    uint64_t c = 0;
    for (size_t i = 0; i < kLaneBytes; i += 8) {
      a = _mm_crc32_u64(a, load(p + i));
      b = _mm_crc32_u64(b, load(p + kLaneBytes + i));
      c = _mm_crc32_u64(c, load(p + 2 * kLaneBytes + i));
    }
    crc = shift(shift(static_cast<uint32_t>(a)) ^ static_cast<uint32_t>(b)) ^ static_cast<uint32_t>(c);
    p += 3 * kLaneBytes;
    length -= 3 * kLaneBytes;
  }
  for (; length >= 8; p += 8, length -= 8) crc = _mm_crc32_u64(crc, load(p));
  auto tail = static_cast<uint32_t>(crc);
  for (; length > 0; p++, length--) tail = _mm_crc32_u8(tail, *p);
  return ~tail;
}

}  // namespace millrace
