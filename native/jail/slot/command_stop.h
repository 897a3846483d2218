// Which command a stop is meant for. The device asks by the ring's cancel word, perhaps before the slot has begun the command,
// perhaps after it ended. Neither thread nor V8 here: every order of both sides is tested (native/core/test/slot_stop_test.cc).
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

#include "jail/slot/slot_ring.h"

namespace millrace {

class CommandStop {
 public:
  /** terminate: guest code that runs, or is just about to, ends soon. Any thread. LIFETIME: the ring must outlive this. */
  CommandStop(SlotRing& ring, std::function<void()> terminate) : ring_(ring), terminate_(std::move(terminate)) {}

  /** The main thread is about to run guest code for this command. A word left by an earlier command is wiped, its own is obeyed. */
  void begin(uint16_t cid) {
    const std::lock_guard lock(mutex_);
    running_ = cid + 1u;
    stopped_ = false;
    ring_.wipe_cancel_word_but(running_);
    obey();
  }
  /** Guest code returned or was terminated. True: a stop was asked for; the termination is to be cancelled. */
  bool end() {
    const std::lock_guard lock(mutex_);
    running_ = 0;
    return stopped_;
  }
  /** The word may have changed. Any thread. */
  void look() {
    const std::lock_guard lock(mutex_);
    obey();
  }

 private:
  void obey() {
    if (running_ == 0 || stopped_ || ring_.cancel_word() != running_) return;
    stopped_ = true;
    terminate_();
  }

  SlotRing& ring_;
  std::function<void()> terminate_;
  std::mutex mutex_;
  uint32_t running_ = 0;  // cid + 1
  bool stopped_ = false;
};

}  // namespace millrace
