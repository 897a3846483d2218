#include "core/scan/frames.h"

namespace millrace {

namespace {

uint64_t padded(uint64_t bytes) { return (bytes + kFrameAlign - 1) & ~(kFrameAlign - 1); }

/** The buffer table and the buffers fill the body exactly. */
bool body_fits(const std::byte* body, const wire::FrameHeader& header) {
  uint64_t at = padded(uint64_t{header.buffer_count} * sizeof(uint64_t));
  if (at > header.body_bytes) return false;
  for (uint32_t i = 0; i < header.buffer_count; i++) {
    uint64_t bytes = 0;
    std::memcpy(&bytes, body + uint64_t{i} * sizeof bytes, sizeof bytes);
    if (bytes > header.body_bytes - at || padded(bytes) > header.body_bytes - at) return false;
    at += padded(bytes);
  }
  return at == header.body_bytes;
}

}  // namespace

bool parse_frames(const std::byte* bytes, uint64_t length, uint32_t scan, uint32_t morsel, uint32_t place, uint32_t& sequence, std::vector<Frame>& out) {
  uint64_t at = 0;
  while (at < length) {
    wire::FrameHeader theirs;
    if (length - at < sizeof theirs) return false;
    std::memcpy(&theirs, bytes + at, sizeof theirs);
    at += sizeof theirs;
    if (theirs.magic != wire::kFrameHeaderMagic || theirs.kind != wire::kFrameKindResult || theirs.scan != scan || theirs.morsel != morsel) return false;
    if ((theirs.flags & ~wire::kFrameFlagLast) != 0) return false;
    if (theirs.body_bytes % kFrameAlign != 0 || theirs.body_bytes > length - at || !body_fits(bytes + at, theirs)) return false;
    Frame frame{make_frame(wire::kFrameKindResult, scan, morsel, place), bytes + at};
    frame.header.flags = theirs.flags;
    frame.header.sequence = sequence++;
    frame.header.rows = theirs.rows;
    frame.header.buffer_count = theirs.buffer_count;
    frame.header.body_bytes = theirs.body_bytes;
    frame.header.elapsed_ns = theirs.elapsed_ns;
    out.push_back(frame);
    at += theirs.body_bytes;
  }
  return true;
}

}  // namespace millrace
