// Result frames as a slot wrote them: hostile bytes in shared memory. Headers are copied once, checked and rebuilt.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#include "wire/wire.gen.h"

namespace millrace {

/** In one word: GuestFault codes lie below, Status codes above (native/wire/scan.def). */
inline constexpr uint32_t kStatusCodesFrom = 0x80;

/** Buffers of a frame, and what stands before them, are padded to this. */
inline constexpr uint64_t kFrameAlign = 64;

struct Frame {
  wire::FrameHeader header;  // ours
  const std::byte* body;     // still the slot's memory
  uint64_t bytes() const { return sizeof header + header.body_bytes; }
};

/**
 * The whole frames in bytes[0..length). False: the slot lies (no such frame can come from the kernel runtime).
 * scan, morsel and place are stamped; sequence counts on from `sequence`.
 */
bool parse_frames(const std::byte* bytes, uint64_t length, uint32_t scan, uint32_t morsel, uint32_t place, uint32_t& sequence, std::vector<Frame>& out);

inline wire::FrameHeader make_frame(uint16_t kind, uint32_t scan, uint32_t morsel, uint32_t place) {
  wire::FrameHeader header{};
  header.magic = wire::kFrameHeaderMagic;
  header.kind = kind;
  header.scan = scan;
  header.morsel = morsel;
  header.place = place;
  return header;
}

/** Writes one frame at `to`, which has room for it. */
inline void write_frame(std::byte* to, const Frame& frame) {
  std::memcpy(to, &frame.header, sizeof frame.header);
  if (frame.header.body_bytes > 0) std::memcpy(to + sizeof frame.header, frame.body, frame.header.body_bytes);
}

}  // namespace millrace
