// What the supervisor (native/core/slots) and the slot's addon (native/jail/slot) agree on beyond the wire structures.
#pragma once
#include <poll.h>
#include <unistd.h>

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
inline constexpr int kSlotFdMedia = 7;  // the media, opened read-only; only where a view of it is to be mapped

/** What a slot ends with when memory ran out where V8 cannot go on: in a compile, or on its own heap. */
inline constexpr int kSlotExitOutOfMemory = 71;

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
  kJailPids = 1u << 7,
  kJailMounts = 1u << 8,
  kJailLandlock = 1u << 9,
  kJailUserNamespace = 1u << 10,
  kJailNotDumpable = 1u << 11,
};

struct JailPartName {
  JailPart part;
  const char* name;
};
/** What device stats and logs call the parts. */
inline constexpr JailPartName kJailPartNames[] = {
    {kJailSeccomp, "seccomp"}, {kJailNoNewPrivs, "no_new_privs"}, {kJailUid, "uid"},   {kJailNetwork, "net"},     {kJailIpc, "ipc"},
    {kJailUts, "uts"},         {kJailPids, "pid"},                {kJailMounts, "mnt"}, {kJailLandlock, "landlock"}, {kJailSession, "session"},
    {kJailUserNamespace, "user"}, {kJailNotDumpable, "not_dumpable"},
};

/** Whether the process that started this one is gone. In a PID namespace of its own only the closed stderr pipe tells. */
inline bool parent_gone(int parent_pid) {
  const int parent = ::getppid();
  if (parent != 0) return parent != parent_pid;
  pollfd stderr_pipe{2, 0, 0};
  return ::poll(&stderr_pipe, 1, 0) > 0 && (stderr_pipe.revents & POLLERR) != 0;
}

}  // namespace millrace
