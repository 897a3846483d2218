// Who sits where: which tenant each slot serves, and which bank of memory each tenant has. Kept by the scan engine under its
// lock; what has to be done about it (new processes, scrubbing) is handed back to it.
#pragma once
#include <map>
#include <optional>
#include <vector>

#include "core/scan/seat_policy.h"
#include "core/slm/tenant_memory.h"

namespace millrace {

class Seating {
 public:
  Seating(TenantMemory memory, uint32_t slots) : memory_(std::move(memory)), seats_(slots + 1) {}

  TenantMemory& memory() { return memory_; }
  const TenantMemory& memory() const { return memory_; }
  Seat& seat(uint32_t slot) { return seats_[slot]; }
  const Seat& seat(uint32_t slot) const { return seats_[slot]; }
  /** All slots serve the device's own tenant: nothing to decide. */
  bool only_own() const {
    return std::all_of(seats_.begin(), seats_.end(), [](const Seat& s) { return s.tenant == kOwnTenant && !s.leaving; });
  }
  /** Slot ids start at 1. */
  std::span<const Seat> seats() const { return std::span(seats_).subspan(1); }

  /** The bank a slot of this tenant maps; 0 when the tenant lost its own meanwhile. */
  uint32_t bank_to_seat(uint32_t tenant) const {
    const auto bank = memory_.of(tenant);
    return bank && memory_.bank(*bank).state == TenantMemory::State::kInUse ? *bank : 0;
  }

  struct Wanted {
    std::shared_ptr<const Tenant> tenant;
    /** Scans of it that want the device, or run on it. */
    uint32_t scans;
    bool running;
  };
  struct Decided {
    /** Nobody works in these: their processes may end at once. */
    std::vector<uint32_t> retire;
    /** A tenant waits for memory. */
    bool waiting = false;
  };
  /**
   * Gives banks to tenants that have none. Where none is free: the bank that has been idle longest is retired, or, of busy ones,
   * the one that was given longest ago and at least a turn, is drained. Banks whose processes were born with caps that changed
   * are retired between scans. Seats that pointed to a retired bank go back to the device's own tenant.
   */
  Decided assign(std::vector<Wanted> wanted, uint64_t now_ns) {
    Decided decided;
    // Who lost a bank last waits longest for the next.
    std::stable_sort(wanted.begin(), wanted.end(), [this](const Wanted& x, const Wanted& y) { return lost_at(x.tenant->id) < lost_at(y.tenant->id); });
    for (const Wanted& w : wanted) {
      if (w.tenant->id == kOwnTenant) continue;
      const auto bank = memory_.of(w.tenant->id);
      if (bank) {
        auto& b = memory_.bank(*bank);
        b.used_ns = now_ns;
        decided.waiting = decided.waiting || b.state != TenantMemory::State::kInUse;
        if (b.state == TenantMemory::State::kInUse && !b.caps.same_process(w.tenant->caps) && w.scans == 1 && !w.running) retire(*bank, decided);
        continue;
      }
      if (const auto given = memory_.assign(*w.tenant)) {
        memory_.bank(*given).used_ns = memory_.bank(*given).given_ns = now_ns;
        continue;
      }
      decided.waiting = true;
      make_room(wanted, now_ns, decided);
    }
    return decided;
  }
  /** All slots left a draining bank. */
  void retire(uint32_t bank, Decided& decided) {
    auto& b = memory_.bank(bank);
    b.state = TenantMemory::State::kRetiring;
    lost_[b.tenant] = ++losses_;
    b.unmapped = false;
    for (Seat& s : seats_)
      if (s.tenant == b.tenant) s.tenant = kOwnTenant;
    decided.retire.push_back(bank);
  }

 private:
  uint64_t lost_at(uint32_t tenant) const {
    const auto it = lost_.find(tenant);
    return it == lost_.end() ? 0 : it->second;
  }
  /** One at a time: a bank on its way out will be somebody's. */
  void make_room(std::span<const Wanted> wanted, uint64_t now_ns, Decided& decided) {
    std::optional<uint32_t> idle;
    std::optional<uint32_t> longest;
    for (uint32_t i = 1; i < memory_.banks(); i++) {
      const auto& b = memory_.bank(i);
      if (b.state != TenantMemory::State::kInUse) return;
      const bool busy = std::any_of(wanted.begin(), wanted.end(), [&](const Wanted& w) { return w.tenant->id == b.tenant; });
      if (!busy && (!idle || b.used_ns < memory_.bank(*idle).used_ns)) idle = i;
      if (busy && now_ns - b.given_ns >= kBankTurnNs && (!longest || b.given_ns < memory_.bank(*longest).given_ns)) longest = i;
    }
    if (idle) retire(*idle, decided);
    else if (longest && memory_.bank(*longest).users == 0) retire(*longest, decided);
    else if (longest) memory_.bank(*longest).state = TenantMemory::State::kDraining;
  }

  static constexpr uint64_t kBankTurnNs = 1'000'000'000;

  TenantMemory memory_;
  std::vector<Seat> seats_;
  std::map<uint32_t, uint64_t> lost_;  // by tenant: the number of its last loss of a bank
  uint64_t losses_ = 0;
};

}  // namespace millrace
