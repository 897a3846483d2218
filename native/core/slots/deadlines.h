// Wall deadlines of the commands running in the slots. Feeder threads set and clear them for every morsel, so that costs a
// lock nobody else holds and no system call; the supervisor sleeps until the earliest one it knew of and looks again.
// How long after its deadline a command really ended is counted here: by the stop it was asked for, or by the kill.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "core/model/clock.h"
#include "core/scan/slot_port.h"

namespace millrace {

class Deadlines {
 public:
  explicit Deadlines(uint32_t slots) : clocks_(slots) {}

  /** True: the supervisor sleeps beyond this deadline and must be woken. */
  bool start(uint32_t slot, uint16_t cid, uint64_t deadline_ns);
  void finish(uint32_t slot, uint16_t cid);
  /** The slot's process is gone. */
  void clear(uint32_t slot);

  /** kAsk: it is past its deadline. kLook: it was asked asked_ns ago; is there a reason to wait any longer? kKill: there is none. */
  enum class Step : uint8_t { kAsk, kLook, kKill };
  struct Due {
    uint32_t slot;
    uint16_t cid;
    Step step;
  };
  /**
   * Calls act(Due) for every command past its deadline: to ask it to stop, then every kLookNs to look at it (true: no use to
   * wait), and at the end of the grace to kill it. Under the clock's lock: once finish() has returned, no late request can
   * hit the next command of the same cid.
   */
  template <typename Act>
  void due(uint64_t now_ns, Act&& act) {
    for (uint32_t slot = 0; slot < clocks_.size(); slot++) {
      Clock& c = clocks_[slot];
      const std::lock_guard lock(c.mutex);
      if (!c.running || now_ns < c.at_ns) continue;
      if (!c.asked) {
        c.asked = true;
        c.kill_at_ns = now_ns + kGraceNs;
        act(Due{slot, c.cid, Step::kAsk});
      } else if (now_ns >= c.kill_at_ns || act(Due{slot, c.cid, Step::kLook})) {
        c.at_ns = kNever;
        act(Due{slot, c.cid, Step::kKill});
        continue;
      }
      c.at_ns = std::min(now_ns + kLookNs, c.kill_at_ns);
    }
  }
  /** When to look again; published so that start() knows whom to wake. kNever: nothing runs. */
  uint64_t next_ns();

  /** What became of commands that passed their deadline, so far. */
  SlotStops stops() const {
    const std::lock_guard lock(stops_mutex_);
    return stops_;
  }

  static constexpr uint64_t kNever = ~0ull;
  /** From the request to stop to the kill, at most: on a busy machine the slot may get no core for so long. */
  static constexpr uint64_t kGraceNs = 10'000'000;
  /** A stop takes 0.1 ms, and a tick of the scheduler (4 ms) where its thread waits for the kernel's core. What used more CPU time is native code that does not look. */
  static constexpr uint64_t kGraceCpuNs = 6'000'000;
  static constexpr uint64_t kLookNs = 1'000'000;

 private:
  struct Clock {
    std::mutex mutex;
    bool running = false;
    bool asked = false;
    uint16_t cid = 0;
    uint64_t at_ns = kNever;
    uint64_t due_ns = kNever;
    uint64_t kill_at_ns = kNever;
  };
  void count(const Clock& clock, Histogram SlotStops::*kind) {
    const std::lock_guard lock(stops_mutex_);
    (stops_.*kind).add(monotonic_ns() - clock.due_ns);
    stops_.last_due_ns = clock.due_ns;
  }
  mutable std::mutex stops_mutex_;
  SlotStops stops_;
  std::vector<Clock> clocks_;
  std::atomic<uint64_t> sleeping_until_ns_{0};
};

inline bool Deadlines::start(uint32_t slot, uint16_t cid, uint64_t deadline_ns) {
  Clock& c = clocks_[slot];
  {
    const std::lock_guard lock(c.mutex);
    c.running = true;
    c.asked = false;
    c.cid = cid;
    c.at_ns = c.due_ns = deadline_ns;
  }
  // ORDER: seq_cst on both sides (next_ns): either the supervisor's scan sees this clock, or this load sees its sleep.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return deadline_ns < sleeping_until_ns_.load(std::memory_order_seq_cst);
}

inline void Deadlines::finish(uint32_t slot, uint16_t cid) {
  Clock& c = clocks_[slot];
  const std::lock_guard lock(c.mutex);
  if (c.cid != cid) return;
  if (c.running && c.asked) count(c, &SlotStops::asked);
  c.running = false;
}

inline void Deadlines::clear(uint32_t slot) {
  Clock& c = clocks_[slot];
  const std::lock_guard lock(c.mutex);
  if (c.running && c.asked) count(c, &SlotStops::killed);
  c.running = false;
}

inline uint64_t Deadlines::next_ns() {
  // ORDER: announce an endless sleep first, then scan: a start() in between sees it and wakes the supervisor.
  sleeping_until_ns_.store(kNever, std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  uint64_t next = kNever;
  for (Clock& c : clocks_) {
    const std::lock_guard lock(c.mutex);
    if (c.running && c.at_ns < next) next = c.at_ns;
  }
  if (next != kNever) sleeping_until_ns_.store(next, std::memory_order_seq_cst);
  return next;
}

}  // namespace millrace
