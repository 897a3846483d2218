// CRC32C (Castagnoli, reflected), SSE4.2, three lanes: 35 GB/s instead of 12 with one (the instruction's latency is 3).
#pragma once
#include <cstddef>
#include <cstdint>

namespace millrace {

/** CRC of bytes[0..length) continuing from `seed` (0 for a fresh one); the usual pre- and post-inversion is included. */
uint32_t crc32c(const void* bytes, size_t length, uint32_t seed = 0);

}  // namespace millrace
