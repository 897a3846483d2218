// The virtual-time simulator: runs a described workload on a DeviceModel, closed loop, and says what it saw. Replays exactly
// from its seed: no clock, no thread, one order of events.
#pragma once
#include <cstdint>
#include <string>

#include "core/model/device_model.h"

namespace millrace {

enum class WorkloadPattern : uint8_t {
  kSequential,  // each thread through its own part of the span
  kRandom,
  kHalves,  // byte-addressable media: first halves of all lines of a region of the span's size, then the second halves, then the next region
};

struct Workload {
  /** Share of reads, 0 to 1. */
  double read_share = 1;
  uint64_t bytes = 4096;
  WorkloadPattern pattern = WorkloadPattern::kRandom;
  /** 0: the whole capacity. */
  uint64_t span_bytes = 0;
  uint32_t threads = 1;
  /** Outstanding commands per thread. */
  uint32_t depth = 1;
  uint64_t count = 10'000;
  /** Commands before those that count. */
  uint64_t warm_up = 0;
  uint64_t seed = 1;
  bool fua = false;
  ModelStore store = ModelStore::kNt;
  ModelPort port = ModelPort::kHost;
  uint64_t capacity_bytes = 1ull << 30;
  /** Random 4 KiB writes before the run that take no time, in multiples of the capacity: brings a mapping to its steady state. */
  double precondition = 0;
};

struct WorkloadResult {
  Histogram reads;
  Histogram writes;
  uint64_t virtual_ns = 0;
  double commands_per_second = 0;
  double read_bytes_per_second = 0;
  double write_bytes_per_second = 0;
  double write_amplification = 1;
  uint64_t digest = 0;
  PowerMeter::Energy energy;
};

/** Throws std::invalid_argument. */
WorkloadResult run_workload(const ModelSettings& settings, const Workload& workload);

}  // namespace millrace
