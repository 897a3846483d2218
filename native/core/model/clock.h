// The machine's clocks, for those who drive models. Models themselves take time as an argument.
#pragma once
#include <time.h>

#include <cstdint>

namespace millrace {

inline uint64_t nanoseconds_of(const timespec& t) { return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec); }

/** CLOCK_MONOTONIC. */
inline uint64_t monotonic_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return nanoseconds_of(t);
}

/** CPU time of all threads of a process (0: of this one); CLOCK_MONOTONIC where its clock cannot be read (it has ended). */
inline uint64_t process_cpu_ns(int pid) {
  clockid_t clock = CLOCK_MONOTONIC;
  timespec t{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &t) != 0) return monotonic_ns();
  return nanoseconds_of(t);
}

}  // namespace millrace
