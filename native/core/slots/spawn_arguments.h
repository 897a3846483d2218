// The command line and environment of a slot process.
#pragma once
#include <string>
#include <vector>

#include "core/scan/slot_port.h"

namespace millrace {

/** Bytes of the linear memory a slot makes: a program's heap and the window over the whole SLM and the room for a view of the media. */
uint64_t linear_memory_bytes(const SlotSeat& seat);

class SpawnArguments {
 public:
  SpawnArguments(const SlotSettings& settings, const SlotSeat& seat);
  char** argv() const { return argv_.data(); }
  char** envp() const { return envp_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<std::string> environment_;
  mutable std::vector<char*> argv_;
  mutable std::vector<char*> envp_;
};

}  // namespace millrace
