#include "core/controller/controller.h"

namespace millrace {

namespace {
constexpr uint32_t kVersion = 0x00020000;
/** MQES; CQR (queues are contiguous); AMS: weighted round robin with urgent class; TO 5 s; CSS: NVM (bit 37), I/O command sets (bit 43); CRMS: ready with media (bit 59). */
constexpr uint64_t kCapabilities = uint64_t{kIoEntriesMax - 1} | 1ull << 16 | 1ull << 17 | 10ull << 24 | 1ull << 37 | 1ull << 43 | 1ull << 59;
/** CRTO: ready within 5 s of EN, as CAP.TO says; less makes Linux complain. */
constexpr uint32_t kReadyTimeouts = 10;
}  // namespace

uint64_t Controller::property(uint32_t offset) const {
  switch (offset) {
    case kCap: return kCapabilities;
    case kVs: return kVersion;
    case kCc: return cc_;
    case kCsts: return csts_;
    case kCrto: return kReadyTimeouts;
    default: return 0;
  }
}

Controller::Change Controller::set_configuration(uint32_t cc) {
  const bool enable = (cc & 1u) != 0;
  const bool enabled = (cc_ & 1u) != 0;
  const uint32_t css = cc >> 4 & 7u;
  const uint32_t ams = cc >> 11 & 7u;
  const uint32_t shutdown = cc >> 14 & 3u;
  if (enable && !enabled) {
    // MPS 4 KiB; entry sizes 64 and 16 bytes (0: a host that leaves it to the fabric).
    const uint32_t sqes = cc >> 16 & 0xfu;
    const uint32_t cqes = cc >> 20 & 0xfu;
    if ((css != 0 && css != 6) || ams > 1 || (cc >> 7 & 0xfu) != 0 || (sqes != 6 && sqes != 0) || (cqes != 4 && cqes != 0)) {
      fail();  // CFS: what the specification wants of a controller that cannot be configured so
      return Change::kRefused;
    }
    cc_ = cc;
    csts_ = 1;
    return Change::kEnabled;
  }
  if (!enable && enabled) {
    cc_ = cc;
    csts_ &= ~1u;
    return Change::kReset;
  }
  const bool begins_shutdown = shutdown != 0 && (cc_ >> 14 & 3u) == 0;
  cc_ = cc;
  if (!begins_shutdown) return Change::kNone;
  csts_ = (csts_ & ~kShutdownMask) | 1u << 2;
  return Change::kShutdown;
}

void Controller::reset() {
  csts_ = 0;
  features.reset();
  events.reset(features.async_events());
  keep_alive.stop();
}

}  // namespace millrace
