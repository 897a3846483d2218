#include "core/queue/executor_ring.h"

namespace millrace {

ExecutorRing::Room ExecutorRing::room() const {
  // ORDER: first what was read, then what was posted: the other way round an honest submitter could read in between what is
  // posted in between, and seem to have read more than there is.
  const uint32_t head = shared_word(ring_.header->cq_head).load(std::memory_order_acquire);
  if (cq_tail_.load(std::memory_order_acquire) - head > ring_.cq_entries) return Room::kLie;
  // Every entry fetched takes a place from then until its completion was read.
  return sq_head_ - head < ring_.cq_entries ? Room::kOne : Room::kNone;
}

bool ExecutorRing::has_work() const {
  // ORDER: acquire pairs with the submitter's release of sqTail; the entries before it are complete.
  const uint32_t waiting = shared_word(ring_.header->sq_tail).load(std::memory_order_acquire) - sq_head_;
  if (waiting == 0) return false;
  // A submitter that does not read its completions stalls itself, not us: nothing is fetched and we may sleep.
  return waiting > ring_.sq_entries || room() != Room::kNone;
}

ExecutorRing::Fetch ExecutorRing::fetch(wire::Sqe& out) {
  const uint32_t waiting = shared_word(ring_.header->sq_tail).load(std::memory_order_acquire) - sq_head_;
  if (waiting == 0) return Fetch::kNone;
  if (waiting > ring_.sq_entries) return Fetch::kBroken;
  if (const Room place = room(); place != Room::kOne) return place == Room::kLie ? Fetch::kBroken : Fetch::kNone;
  std::memcpy(&out, &ring_.sq[sq_head_ & (ring_.sq_entries - 1)], sizeof out);
  sq_head_++;
  sq_head_seen_.store(sq_head_, std::memory_order_release);
  return Fetch::kOne;
}

void ExecutorRing::post(uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1) {
  // Held to the end: whoever resets the ring afterwards finds nobody in it.
  const std::lock_guard lock(post_mutex_);
  {
    const uint32_t tail = cq_tail_.load(std::memory_order_relaxed);
    const uint32_t phase = 1u ^ ((tail / ring_.cq_entries) & 1u);
    auto* at = reinterpret_cast<std::byte*>(&ring_.cq[tail & (ring_.cq_entries - 1)]);
    const wire::Cqe cqe{.dw0 = dw0,
                        .dw1 = dw1,
                        .sqhd = static_cast<uint16_t>(sq_head_seen_.load(std::memory_order_relaxed) & (ring_.sq_entries - 1)),
                        .sqid = queue_id_,
                        .cid = cid,
                        .status = static_cast<uint16_t>(status << 1 | phase)};
    uint32_t last = 0;
    std::memcpy(&last, reinterpret_cast<const std::byte*>(&cqe) + 12, sizeof last);
    std::memcpy(at, &cqe, 12);
    // ORDER: counted before it can be seen, so before the submitter can say it has read it.
    cq_tail_.store(tail + 1, std::memory_order_release);
    // ORDER: release: whoever sees the phase sees the whole completion and the data the command moved.
    // SAFETY: cid and status are the aligned last word of a 16 B entry.
    shared_word(*reinterpret_cast<uint32_t*>(at + 12)).store(last, std::memory_order_release);
  }
  // ORDER: the phase must be visible before the sleep word is read (store-load), see QueueHeader.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  auto sleeping = shared_word(ring_.header->submitter_sleeping);
  if (sleeping.load(std::memory_order_relaxed) == 0) return;
  sleeping.store(0, std::memory_order_relaxed);
  submitter_.wake();
}

void ExecutorRing::reset(RingView ring) {
  const std::lock_guard lock(post_mutex_);
  invariant(outstanding() == 0, "a ring is reset with nothing outstanding");
  ring_ = ring;
  sq_head_ = 0;
  cq_tail_.store(0);
  sq_head_seen_.store(0);
}

void ExecutorRing::arm() {
  shared_word(ring_.header->executor_sleeping).store(1, std::memory_order_relaxed);
  // ORDER: the sleep word must be visible before the caller's last look at the ring (store-load).
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void ExecutorRing::disarm() { shared_word(ring_.header->executor_sleeping).store(0, std::memory_order_relaxed); }

}  // namespace millrace
