// A device core slower than this machine's, as a model: a slot that computed for t is released after factor x t.
#pragma once
#include <cstdint>

namespace millrace {

struct CoreModel {
  /** Time the modelled core takes over time this machine's takes; 1: no model. */
  double factor = 1;
  bool on() const { return factor > 1; }
  /** When a command that started at `start_ns` and used `cpu_ns` of CPU ends on the modelled core. */
  uint64_t release_ns(uint64_t start_ns, uint64_t cpu_ns) const { return start_ns + static_cast<uint64_t>(static_cast<double>(cpu_ns) * factor); }
};

}  // namespace millrace
