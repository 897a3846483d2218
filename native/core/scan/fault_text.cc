#include "core/scan/fault_text.h"

#include <algorithm>
#include <cstring>

namespace millrace {

namespace {

/** Length of the well-formed sequence at the start (RFC 3629), 0 if there is none. */
size_t sequence_length(const unsigned char* at, size_t left) {
  const unsigned char lead = at[0];
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) == 0xe0 ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
  if (length == 0 || length > left) return 0;
  for (size_t i = 1; i < length; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  const bool overlong = (lead == 0xe0 && at[1] < 0xa0) || (lead == 0xf0 && at[1] < 0x90);
  const bool surrogate = lead == 0xed && at[1] > 0x9f;
  const bool beyond = lead == 0xf4 && at[1] > 0x8f;
  return overlong || surrogate || beyond ? 0 : length;
}

/** C0, DEL, C1: what a terminal would obey. */
bool is_control(const unsigned char* at, size_t length) { return (length == 1 && (at[0] < 0x20 || at[0] == 0x7f)) || (length == 2 && at[0] == 0xc2 && at[1] < 0xa0); }

}  // namespace

std::string fault_text(const std::byte* from, uint64_t bytes) {
  unsigned char copy[kFaultTextBytesMax];
  const auto size = static_cast<size_t>(std::min<uint64_t>(bytes, kFaultTextBytesMax));
  if (size > 0) std::memcpy(copy, from, size);
  std::string text;
  for (size_t i = 0; i < size;) {
    const size_t length = sequence_length(copy + i, size - i);
    if (length == 0 || is_control(copy + i, length)) text += '?';
    else text.append(reinterpret_cast<const char*>(copy + i), length);
    i += std::max<size_t>(length, 1);
  }
  return text;
}

}  // namespace millrace
