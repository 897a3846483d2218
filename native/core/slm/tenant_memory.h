// Device memory of tenants: each tenant that has work on the device has an SLM of its own, a bank, which only its slots map.
// Bank 0 is the device's own tenant's for ever; the others are given out as tenants come and scrubbed before the next one's
// bytes come in. Not thread-safe: the scan engine locks.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "core/scan/media_view.h"
#include "core/scan/tenant.h"
#include "core/slm/slm.h"

namespace millrace {

class TenantMemory {
 public:
  enum class State : uint8_t {
    kFree,
    kInUse,
    kDraining,   // its slots finish what they began and leave: somebody else's turn
    kRetiring,   // its last processes end
    kScrubbing,
  };
  struct Bank {
    State state = State::kFree;
    uint32_t tenant = 0;
    TenantCaps caps;  // its processes are born with
    Slm* slm = nullptr;
    std::unique_ptr<Slm> owned;
    /** Feeders that may still touch it. */
    uint32_t users = 0;
    /** While retiring: no process maps it any more. */
    bool unmapped = false;
    /** What of the media its processes are to have; nullptr: nothing. */
    std::shared_ptr<const MediaView> view;
    uint64_t used_ns = 0;
    uint64_t given_ns = 0;
  };

  /** `own`: bank 0. LIFETIME: outlives this. */
  TenantMemory(Slm& own, TenantCaps caps, uint32_t slots, uint64_t bank_bytes, uint32_t banks_max) : slots_(slots), bank_bytes_(bank_bytes), banks_(1 + banks_max) {
    banks_[0] = {State::kInUse, kOwnTenant, caps, &own, nullptr, 0, false, nullptr, 0, 0};
  }

  Bank& bank(uint32_t index) { return banks_[index]; }
  const Bank& bank(uint32_t index) const { return banks_[index]; }
  uint32_t banks() const { return static_cast<uint32_t>(banks_.size()); }

  /** The tenant's bank, whatever its state. */
  std::optional<uint32_t> of(uint32_t tenant) const {
    for (uint32_t i = 0; i < banks(); i++)
      if (banks_[i].state != State::kFree && banks_[i].state != State::kScrubbing && banks_[i].tenant == tenant) return i;
    return std::nullopt;
  }
  /** Gives a free bank to the tenant, memory and all; nullopt: none is free. */
  std::optional<uint32_t> assign(const Tenant& tenant) {
    for (uint32_t i = 1; i < banks(); i++) {
      Bank& b = banks_[i];
      if (b.state != State::kFree) continue;
      if (!b.owned) {
        b.owned = std::make_unique<Slm>(bank_bytes_, slots_);
        b.slm = b.owned.get();
      }
      b.state = State::kInUse;
      b.tenant = tenant.id;
      b.caps = tenant.caps;
      b.unmapped = false;
      return i;
    }
    return std::nullopt;
  }
  /** What a bank that is not there yet would keep resident. */
  uint64_t resident_bytes() const { return Slm::resident_bytes_for(bank_bytes_, slots_); }

 private:
  uint32_t slots_;
  uint64_t bank_bytes_;
  std::vector<Bank> banks_;
};

}  // namespace millrace
