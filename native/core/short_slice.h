// Threads that wait for others most of the time and must go on soon when they are woken: I/O, completions, watchdogs.
#pragma once
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace millrace {

/**
 * The calling thread is content with turns of 0.1 ms, and so gets one before a thread that computes has used up its own (3 ms):
 * EEVDF, Linux 6.12 and later; earlier ones take no notice. No privilege is needed, and its share stays the same.
 */
inline void ask_for_short_slices() {
  struct {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
  } attributes{48, SCHED_OTHER, 0, ::getpriority(PRIO_PROCESS, 0), 0, 100'000, 0, 0};
  ::syscall(SYS_sched_setattr, 0, &attributes, 0u);
}

}  // namespace millrace
