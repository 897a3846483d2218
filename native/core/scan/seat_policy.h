// Which tenant a slot should serve next. Pure: what is known of slots and tenants comes in, with the time.
//
// A slot process serves one tenant as long as it lives, so changing costs a process (1 ms from a spare, else 40 ms of CPU):
// slots stay where there is work. A tenant with work and no slot gets one at once from a tenant that has none to do or
// several slots, otherwise when a slot's turn is over. Slots without work help others after a while.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace millrace {

class MediaView;

struct Seat {
  uint32_t tenant = 0;
  uint64_t seated_ns = 0;
  /** When it took a morsel last. */
  uint64_t worked_ns = 0;
  /** It will serve `tenant` once what it has in flight for another is done. */
  bool leaving = false;
  /** What of the media its process has. */
  std::shared_ptr<const MediaView> view;
};

struct TenantNeed {
  uint32_t tenant;
  /** Morsels no slot took yet. */
  bool work;
  /** It has its own memory on the device, so that a slot can serve it now. */
  bool seatable;
};

inline constexpr uint64_t kTurnNs = 250'000'000;
inline constexpr uint64_t kHelpNs = 100'000'000;

/** The tenant the slot is to go to, if it is not to stay. */
inline std::optional<uint32_t> seat_policy(size_t slot, std::span<const Seat> seats, std::span<const TenantNeed> needs, uint64_t now_ns) {
  const Seat& mine = seats[slot];
  auto slots_of = [&](uint32_t tenant) { return std::count_if(seats.begin(), seats.end(), [&](const Seat& s) { return s.tenant == tenant; }); };
  const bool own_work = std::any_of(needs.begin(), needs.end(), [&](const TenantNeed& n) { return n.tenant == mine.tenant && n.work; });
  const TenantNeed* neediest = nullptr;
  for (const TenantNeed& n : needs)
    if (n.tenant != mine.tenant && n.work && n.seatable && (!neediest || slots_of(n.tenant) < slots_of(neediest->tenant))) neediest = &n;
  if (!neediest) return std::nullopt;
  const bool starving = slots_of(neediest->tenant) == 0;
  const bool can_go = !own_work ? starving || now_ns - mine.worked_ns >= kHelpNs : starving && (slots_of(mine.tenant) > 1 || now_ns - mine.seated_ns >= kTurnNs);
  return can_go ? std::optional(neediest->tenant) : std::nullopt;
}

}  // namespace millrace
