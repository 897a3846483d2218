// Wall deadlines of the commands running in the slots. Feeder threads set and clear them for every morsel, so that costs a
// lock nobody else holds and no system call; the supervisor sleeps until the earliest one it knew of and looks again.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace millrace {

class Deadlines {
 public:
  explicit Deadlines(uint32_t slots) : clocks_(slots) {}

  /** True: the supervisor sleeps beyond this deadline and must be woken. */
  bool start(uint32_t slot, uint16_t cid, uint64_t deadline_ns);
  void finish(uint32_t slot, uint16_t cid);
  /** The slot's process is gone. */
  void clear(uint32_t slot);

  enum class Step : uint8_t { kAsk, kKill };
  struct Due {
    uint32_t slot;
    uint16_t cid;
    Step step;
  };
  /**
   * Calls act(Due) for every command past its deadline (ask it to stop) or past the grace after that (kill). Under the
   * clock's lock: once finish() has returned, no late request can hit the next command of the same cid.
   */
  template <typename Act>
  void due(uint64_t now_ns, Act&& act) {
    for (uint32_t slot = 0; slot < clocks_.size(); slot++) {
      Clock& c = clocks_[slot];
      const std::lock_guard lock(c.mutex);
      if (!c.running || now_ns < c.at_ns) continue;
      act(Due{slot, c.cid, c.asked ? Step::kKill : Step::kAsk});
      c.at_ns = c.asked ? kNever : now_ns + kGraceNs;
      c.asked = true;
    }
  }
  /** When to look again; published so that start() knows whom to wake. kNever: nothing runs. */
  uint64_t next_ns();

  static constexpr uint64_t kNever = ~0ull;
  /** From the request to stop to the kill: a stop takes 46 us, longer means native code that does not poll for it. */
  static constexpr uint64_t kGraceNs = 10'000'000;

 private:
  struct Clock {
    std::mutex mutex;
    bool running = false;
    bool asked = false;
    uint16_t cid = 0;
    uint64_t at_ns = kNever;
  };
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
    c.at_ns = deadline_ns;
  }
  // ORDER: seq_cst on both sides (next_ns): either the supervisor's scan sees this clock, or this load sees its sleep.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return deadline_ns < sleeping_until_ns_.load(std::memory_order_seq_cst);
}

inline void Deadlines::finish(uint32_t slot, uint16_t cid) {
  Clock& c = clocks_[slot];
  const std::lock_guard lock(c.mutex);
  if (c.cid == cid) c.running = false;
}

inline void Deadlines::clear(uint32_t slot) {
  Clock& c = clocks_[slot];
  const std::lock_guard lock(c.mutex);
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
