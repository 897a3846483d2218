// Judges whether a process that owes an answer has fallen silent. Pure: what was seen of the process comes in, with the time.
//
// A process somebody stopped does not come back by itself; one that sleeps and uses no CPU time at all hangs. One that is
// runnable but gets no core, or waits for a disk, is only slow: it is left alone.
#pragma once
#include <cstdint>

namespace millrace {

class Silence {
 public:
  struct Sight {
    /** It has a command to take (or its start to finish) and nothing else to do; or it is stopped under one. */
    bool owes;
    /** CPU time of all its threads so far. */
    uint64_t cpu_ns;
    /** As /proc/PID/stat says: R S D T t Z. */
    char state;
    bool stopped() const { return state == 'T' || state == 't'; }
  };

  /** True: it is silent and is to be killed. */
  bool look(uint64_t now_ns, const Sight& sight) {
    const bool stopped = sight.stopped();
    if (!sight.owes || sight.cpu_ns != cpu_ns_ || (!stopped && sight.state != 'S') || stopped != stopped_ || since_ns_ == 0) {
      since_ns_ = sight.owes ? now_ns : 0;
      cpu_ns_ = sight.cpu_ns;
      stopped_ = stopped;
      return false;
    }
    return now_ns - since_ns_ >= (stopped ? kStoppedNs : kAsleepNs);
  }

  /** Two looks at least: a debugger's or a snapshot's moment is no reason. */
  static constexpr uint64_t kStoppedNs = 150'000'000;
  static constexpr uint64_t kAsleepNs = 3'000'000'000;

 private:
  uint64_t since_ns_ = 0;
  uint64_t cpu_ns_ = 0;
  bool stopped_ = false;
};

}  // namespace millrace
