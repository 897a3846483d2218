#include "core/slm/slm.h"

#include <algorithm>

namespace millrace {

namespace {

/** Three morsels in flight of 16 MiB each at most, and never more than a quarter of the SLM for all windows together. */
uint64_t window_bytes_for(uint64_t slm_bytes, uint32_t slots) {
  if (slots == 0) return 0;
  constexpr uint64_t kWindowBytesMax = 48ull << 20;
  return std::min(kWindowBytesMax, slm_bytes / 4 / slots) & ~(kPageBytes - 1);
}

}  // namespace

Slm::Slm(uint64_t bytes, uint32_t slots)
    : memory_(SharedMemory::create("millrace-slm", bytes)), bytes_(memory_.bytes()), read_only_(memory_.reopen_read_only()), window_bytes_(window_bytes_for(bytes_, slots)) {
  uint64_t at = kScratchBytes;
  for (uint32_t i = 0; i < slots; i++, at += window_bytes_) windows_.emplace_back(at, window_bytes_);
  resident_ = std::make_unique<ResidentCache>(at, bytes_ - at);
}

}  // namespace millrace
