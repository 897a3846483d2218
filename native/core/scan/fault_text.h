// What a slot says about a guest fault: hostile bytes that end up on people's terminals.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace millrace {

inline constexpr uint32_t kFaultTextBytesMax = 512;

/**
 * At most kFaultTextBytesMax of the bytes, copied once, as one line of well-formed UTF-8: control characters, broken
 * sequences and a sequence cut off at the end become '?'.
 */
std::string fault_text(const std::byte* from, uint64_t bytes);

}  // namespace millrace
