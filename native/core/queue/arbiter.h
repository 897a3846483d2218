// Which queue of a controller is served next. NVMe base specification 2.0, 3.4.4: the admin queue and the urgent class go
// strictly first; the high, medium and low classes share by weights, queues of one class take turns, each for a burst.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace millrace {

/** QPRIO of Create I/O Submission Queue. */
enum class QueueClass : uint8_t { kUrgent = 0, kHigh = 1, kMedium = 2, kLow = 3 };

class Arbiter {
 public:
  enum class Served : uint8_t {
    kNone,  // the queue is empty
    kOne,   // a command was taken
    kStop,  // the caller has enough
  };

  /** Arbitration feature: AB, LPW, MPW, HPW. weighted false (CC.AMS 0): all I/O queues take turns as one class. */
  void configure(uint32_t arbitration, bool weighted) {
    const uint32_t burst = arbitration & 7u;
    burst_ = burst == 7 ? kNoLimit : 1u << burst;
    weighted_ = weighted;
    weights_ = {0, (arbitration >> 24) + 1, (arbitration >> 16 & 0xffu) + 1, (arbitration >> 8 & 0xffu) + 1};
    credits_ = weights_;
  }
  void add(uint32_t queue, QueueClass c) { classes_[static_cast<size_t>(c)].queues.push_back(queue); }
  void remove(uint32_t queue) {
    for (Class& c : classes_) std::erase(c.queues, queue);
  }
  /** Queues 1..count-1 exist as medium ones. */
  void cover(uint32_t count) {
    for (; covered_ < count; covered_++) add(covered_, QueueClass::kMedium);
  }

  /** Calls serve(queue) until it says kStop or every queue is empty. serve may add and remove queues. */
  template <typename Serve>
  void run(Serve&& serve) {
    uint32_t taken = 0;
    for (;;) {
      if (!burst(0, kNoLimit, serve, taken)) return;
      if (weighted_) {
        if (!turn(QueueClass::kUrgent, kNoLimit, serve, taken)) return;
        if (taken > 0) continue;
      }
      bool any = false;
      for (size_t c = weighted_ ? 1 : 0; c < classes_.size(); c++) {
        uint32_t& credit = credits_[c];
        if (weighted_ && credit == 0) continue;
        if (!turn(static_cast<QueueClass>(c), weighted_ ? credit : kNoLimit, serve, taken)) return spend(c, taken);
        spend(c, taken);
        any |= taken > 0;
      }
      if (any) continue;
      if (!weighted_ || credits_ == weights_) return;
      credits_ = weights_;  // who has commands used up its share: a new round
    }
  }

 private:
  static constexpr uint32_t kNoLimit = ~0u;
  struct Class {
    std::vector<uint32_t> queues;
    size_t next = 0;
  };

  void spend(size_t c, uint32_t taken) {
    if (weighted_ && c > 0) credits_[c] -= std::min(credits_[c], taken);
  }
  /** False: stop. taken: how many commands. */
  template <typename Serve>
  bool burst(uint32_t queue, uint32_t limit, Serve& serve, uint32_t& taken) {
    for (taken = 0; taken < limit; taken++) {
      const Served served = serve(queue);
      if (served == Served::kNone) return true;
      if (served == Served::kStop) return false;
    }
    return true;
  }
  /** The next queue of the class that has commands, for a burst. */
  template <typename Serve>
  bool turn(QueueClass name, uint32_t credit, Serve& serve, uint32_t& taken) {
    Class& c = classes_[static_cast<size_t>(name)];
    taken = 0;
    for (size_t tries = c.queues.size(); tries > 0 && !c.queues.empty(); tries--) {
      const uint32_t queue = c.queues[c.next++ % c.queues.size()];
      if (!burst(queue, std::min(burst_, credit), serve, taken)) return false;
      if (taken > 0) return true;
    }
    return true;
  }

  std::array<Class, 4> classes_;
  std::array<uint32_t, 4> weights_{0, 1, 1, 1};
  std::array<uint32_t, 4> credits_{0, 1, 1, 1};
  uint32_t burst_ = 16;
  bool weighted_ = false;
  uint32_t covered_ = 1;
};

}  // namespace millrace
