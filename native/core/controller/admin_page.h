// Writing the pages of Identify and Get Log Page field by field, at the offsets the specification names.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace millrace {

template <typename T>
void put(std::span<std::byte> page, size_t at, T value) {
  std::memcpy(page.data() + at, &value, sizeof value);
}
/** ASCII, padded with blanks. */
inline void put_text(std::span<std::byte> page, size_t at, size_t width, std::string_view text) {
  std::memset(page.data() + at, ' ', width);
  std::memcpy(page.data() + at, text.data(), std::min(width, text.size()));
}
inline void put_bytes(std::span<std::byte> page, size_t at, std::span<const uint8_t> bytes) { std::memcpy(page.data() + at, bytes.data(), bytes.size()); }

}  // namespace millrace
