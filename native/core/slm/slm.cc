#include "core/slm/slm.h"

#include <algorithm>
#include <cstring>

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
    : bytes_(PageAllocator::round_up(bytes)), window_bytes_(window_bytes_for(bytes_, slots)), memory_(SharedMemory::create("millrace-slm", bytes_ + slots * window_bytes_)), read_only_(memory_.reopen_read_only()) {
  lay_out(slots);
}

void Slm::lay_out(uint32_t slots) {
  uint64_t at = 0;
  windows_.clear();
  private_windows_.clear();
  for (uint32_t i = 0; i < slots; i++, at += window_bytes_) windows_.emplace_back(at, window_bytes_);
  resident_ = std::make_unique<ResidentCache>(at, bytes_ - at);
  for (uint32_t i = 0; i < slots; i++) private_windows_.emplace_back(bytes_ + i * window_bytes_, window_bytes_);
}

uint64_t Slm::resident_bytes_for(uint64_t slm_bytes, uint32_t slots) { return slm_bytes - slots * window_bytes_for(slm_bytes, slots); }

void Slm::scrub() {
  // By hand, not by punching holes: pages that are there stay there (1 ms for 64 MiB instead of 15).
  std::memset(memory_.data(), 0, touched_.exchange(0));
  lay_out(static_cast<uint32_t>(windows_.size()));
}

}  // namespace millrace
