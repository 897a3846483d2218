// Strict UTF-8 check (no overlong forms, no surrogates, nothing above U+10FFFF), ASCII eight bytes at a time.
#pragma once
#include <cstdint>
#include <cstring>

namespace millrace::bridge {

inline bool utf8_valid(const uint8_t* bytes, size_t size) {
  size_t i = 0;
  while (i < size) {
    if (i + 8 <= size) {
      uint64_t word;
      std::memcpy(&word, bytes + i, 8);
      if ((word & 0x8080808080808080ull) == 0) {
        i += 8;
        continue;
      }
    }
    const uint8_t first = bytes[i];
    if (first < 0x80) {
      i++;
      continue;
    }
    size_t more;
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) more = 1;
    else if (first >= 0xe0 && first <= 0xef) {
      more = 2;
      if (first == 0xe0) low = 0xa0;
      if (first == 0xed) high = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3;
      if (first == 0xf0) low = 0x90;
      if (first == 0xf4) high = 0x8f;
    } else return false;
    if (size - i <= more || bytes[i + 1] < low || bytes[i + 1] > high) return false;
    for (size_t k = 2; k <= more; k++)
      if ((bytes[i + k] & 0xc0) != 0x80) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace millrace::bridge
