// Load on a queue, timed: commands of one kind at a constant depth through a client's link, and the same wait strategy on
// a bare ring between two threads, for comparison.
#pragma once
#include <cstdint>

#include "core/device/client_link.h"

namespace millrace {

struct QueueLoad {
  uint32_t depth = 1;
  uint64_t commands = 0;
  /** 4 KiB reads of this namespace, of random blocks below `blocks`; 0: commands that move nothing (Keep Alive). */
  uint32_t nsid = 0;
  uint64_t blocks = 0;
  uint64_t seed = 1;
};

/** Nanoseconds for all commands. Throws std::runtime_error when one fails or the association ends. */
uint64_t run_queue_load(ClientLink& link, const QueueLoad& load);

/** Nanoseconds for so many round trips of one entry over a ring between two threads that wait as clients and I/O threads do. */
uint64_t run_ring_ping_pong(uint64_t round_trips);

}  // namespace millrace
