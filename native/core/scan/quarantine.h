// Kernels that keep crashing slots: the kernel is refused, by its digest, not the slot.
//
// A strike is a process that ended by its own doing (a signal it raised, an exit, memory that ran out, frames its runtime never writes) while
// the kernel ran. Kills from outside and deadlines are no strikes: those a kernel cannot be blamed for, or they cost only
// itself. Strikes and verdicts last as long as the device.
#pragma once
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/device/programs.h"
#include "core/sha256.h"

namespace millrace {

class Quarantine {
 public:
  /** Any thread; costs one load while nothing crashed. */
  bool refuses(const Module& module) const;
  /** A slot crashed under the module. The digest in hex when this strike was the one that makes it refused, else empty. */
  std::string strike(const Module& module);
  /** Digests of the kernels refused now. */
  std::vector<std::string> refused() const;

 private:
  struct Record {
    size_t bytes;
    uint32_t strikes;
  };
  mutable std::mutex mutex_;
  std::map<Sha256, Record> records_;
  std::atomic<uint32_t> refused_{0};
};

}  // namespace millrace
