#include "jail/slot/stop_watch.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <v8.h>

#include <thread>

#include "core/short_slice.h"

namespace millrace {

StopWatch::StopWatch(SlotRing& ring, v8::Isolate* isolate) : ring_(ring), command_(ring, [isolate] { isolate->TerminateExecution(); }) {
  std::thread([this] {
    ask_for_short_slices();  // the kernel it is to stop may have this core
    begun_.store(true);
    begun_.notify_one();
    watch();
  }).detach();
  // ORDER: what a thread calls before its first line is the C library's and in no rule of the filter, which comes next.
  begun_.wait(false);
}

void StopWatch::watch() {
  for (;;) {
    const uint32_t word = ring_.cancel_word();
    if (word != 0) command_.look();
    // A futex in shared memory (not FUTEX_PRIVATE): the supervisor wakes it from its own mapping.
    ::syscall(SYS_futex, ring_.cancel_word_address(), FUTEX_WAIT, word, nullptr, nullptr, 0);
  }
}

}  // namespace millrace
