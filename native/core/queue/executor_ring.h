// The executing side of a ring whose submitter is hostile: every entry is copied once and the copy is used; a submitter
// that rings for more entries than the ring has, or reads completions that were never posted, has broken the ring.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>

#include "core/queue/ring.h"
#include "core/queue/wake.h"

namespace millrace {

class ExecutorRing {
 public:
  enum class Fetch : uint8_t { kNone, kOne, kBroken };

  ExecutorRing(RingView ring, uint16_t queue_id, Waker submitter) : ring_(ring), queue_id_(queue_id), submitter_(submitter) {}

  /** One thread. Takes the next entry if there is one and its completion will have a place. */
  Fetch fetch(wire::Sqe& out);
  /** Something to fetch, or a lie to find out. */
  bool has_work() const;
  /** Any thread, once per fetched entry. */
  void post(uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1);

  /** Fetched and not posted yet. */
  uint32_t outstanding() const {
    const uint32_t posted = cq_tail_.load(std::memory_order_acquire);
    return sq_head_seen_.load(std::memory_order_acquire) - posted;
  }
  /** The ring over new memory, as at its start. Fetching thread, with nothing outstanding. */
  void reset(RingView ring);

  /** The fetching thread is about to sleep; look at has_work() once more before blocking. */
  void arm();
  void disarm();

 private:
  /** For one more completion. kLie: the submitter says it has read what was never posted, or has left more unread than the ring has. */
  enum class Room : uint8_t { kNone, kOne, kLie };
  Room room() const;

  RingView ring_;
  uint16_t queue_id_;
  Waker submitter_;
  uint32_t sq_head_ = 0;              // fetching thread
  std::atomic<uint32_t> cq_tail_{0};  // written under post_mutex_
  std::atomic<uint32_t> sq_head_seen_{0};
  std::mutex post_mutex_;
};

}  // namespace millrace
