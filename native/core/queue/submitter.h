// The submitting side of a ring: a client, or the device in front of a slot. One thread at a time. The executor may be
// hostile (a slot): its completions are copied, bounded and only believed where they match what was submitted.
#pragma once
#include <cstdint>

#include "core/queue/ring.h"
#include "core/queue/wake.h"

namespace millrace {

class Submitter {
 public:
  Submitter() = default;
  /** moreCompletions: a completion whose dw1 has bit 0 set does not end its command (slot rings). */
  Submitter(RingView ring, Waker executor, bool more_completions = false) : ring_(ring), executor_(executor), more_(more_completions) {}

  /** Commands that fit now. */
  uint32_t room() const { return ring_.sq_entries - outstanding_; }
  uint32_t outstanding() const { return outstanding_; }
  /** Copies as many of the entries as fit and rings once; returns how many. */
  uint32_t submit(const wire::Sqe* sqes, uint32_t count);
  /** Copies completions that are there (at most max) and gives their slots back. */
  uint32_t reap(wire::Cqe* out, uint32_t max);
  bool completion_ready() const;
  /** The executor completed what was never submitted: nothing it says can be believed any more. */
  bool broken() const { return broken_; }

  /** Announces sleep. True: safe to block on the wake descriptor; false: completions came meanwhile, look again. */
  bool arm();
  void disarm();

  /** Slot rings: asks the slot to stop the command. */
  void cancel(uint16_t cid);
  /** Slot rings: the output area of the command was drained. It carries the cid: the command may have ended meanwhile, and the one behind it must not take the word for its own. */
  void go_on(uint16_t cid) {
    const uint32_t count = shared_word(ring_.header->continue_word).load(std::memory_order_relaxed) >> 16;
    shared_word(ring_.header->continue_word).store((count + 1) << 16 | (cid + 1u), std::memory_order_seq_cst);
    ring_bell();
  }

 private:
  void ring_bell();
  RingView ring_;
  Waker executor_;
  bool more_ = false;
  bool broken_ = false;
  uint32_t sq_tail_ = 0;
  uint32_t cq_head_ = 0;
  uint32_t outstanding_ = 0;
};

}  // namespace millrace
