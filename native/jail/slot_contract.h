// What the supervisor (native/core/slots) and the slot's addon (native/jail/slot) agree on beyond the wire structures.
#pragma once
#include <cstdint>

#include "core/limits.h"
#include "core/queue/ring.h"

namespace millrace {

// Descriptors a slot is born with; the launcher closes every other.
inline constexpr int kSlotFdRing = 3;   // memfd: ring, then data region
inline constexpr int kSlotFdWake = 4;   // eventfd the device writes
inline constexpr int kSlotFdDone = 5;   // eventfd the slot writes
inline constexpr int kSlotFdSlm = 6;    // the SLM, opened read-only
inline constexpr int kSlotFdCount = 4;

inline uint64_t slot_ring_bytes() { return RingView::bytes_for(kSlotRingEntries, kSlotRingEntries); }

/** Parts of the jail that are in force: dw0 of the answer to Identify, the first command of every slot. */
enum JailPart : uint32_t {
  kJailNoNewPrivs = 1u << 0,
  kJailSeccomp = 1u << 1,
  kJailUid = 1u << 2,
  kJailNetwork = 1u << 3,
  kJailIpc = 1u << 4,
  kJailUts = 1u << 5,
  kJailSession = 1u << 6,
};

}  // namespace millrace
