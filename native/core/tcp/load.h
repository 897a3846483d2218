// Keeps an NVMe/TCP target busy with reads at a fixed depth, to measure it.
#pragma once
#include <cstdint>
#include <string>

#include "core/tcp/initiator.h"

namespace millrace::tcp {

struct LoadSettings {
  InitiatorOptions target;
  std::string subsystem;
  uint32_t nsid = 1;
  uint32_t depth = 1;
  uint32_t blocks_per_read = 1;
  /** Reads lie within the first so many blocks. */
  uint64_t blocks = 0;
  uint64_t commands = 0;
  uint64_t seed = 1;
};

struct LoadResult {
  uint64_t commands = 0;
  uint64_t elapsed_ns = 0;
  /** Of all bytes read, whatever order they came in. */
  uint64_t hash = 0;
};

/** Throws InitiatorError; also when a read fails. */
LoadResult run_load(const LoadSettings& settings);

}  // namespace millrace::tcp
