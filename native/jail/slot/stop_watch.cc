#include "jail/slot/stop_watch.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <v8.h>

#include <thread>

namespace millrace {

StopWatch::StopWatch(SlotRing& ring, v8::Isolate* isolate) : ring_(ring), isolate_(isolate) {
  std::thread([this] { watch(); }).detach();
}

void StopWatch::begin(uint16_t cid) {
  const std::lock_guard lock(mutex_);
  ring_.clear_cancel_word();
  running_ = cid + 1u;
  stopped_ = false;
}

bool StopWatch::end() {
  const std::lock_guard lock(mutex_);
  running_ = 0;
  return stopped_;
}

void StopWatch::watch() {
  for (;;) {
    const uint32_t word = ring_.cancel_word();
    if (word != 0) {
      const std::lock_guard lock(mutex_);
      // Read again under the lock: begin() may have wiped a word meant for an earlier command with the same cid.
      if (running_ != 0 && ring_.cancel_word() == running_ && !stopped_) {
        stopped_ = true;
        isolate_->TerminateExecution();
      }
    }
    // A futex in shared memory (not FUTEX_PRIVATE): the supervisor wakes it from its own mapping.
    ::syscall(SYS_futex, ring_.cancel_word_address(), FUTEX_WAIT, word, nullptr, nullptr, 0);
  }
}

}  // namespace millrace
