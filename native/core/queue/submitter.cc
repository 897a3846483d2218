#include "core/queue/submitter.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

namespace millrace {

namespace {
constexpr size_t kLastWord = 12;  // cid and status share the last word of a completion: it is written and read last

uint32_t load_last_word(wire::Cqe* cqe) {
  // SAFETY: a Cqe is 16 B on a 16 B boundary; its last four bytes are a word of their own.
  auto* word = reinterpret_cast<uint32_t*>(reinterpret_cast<std::byte*>(cqe) + kLastWord);
  // ORDER: acquire pairs with the executor's release of the same word; the first 12 bytes are complete when the phase fits.
  return shared_word(*word).load(std::memory_order_acquire);
}
uint32_t phase_of(uint32_t index, uint32_t entries) { return 1u ^ ((index / entries) & 1u); }
}  // namespace

uint32_t Submitter::submit(const wire::Sqe* sqes, uint32_t count) {
  const uint32_t fit = std::min(count, room());
  for (uint32_t i = 0; i < fit; i++) std::memcpy(&ring_.sq[(sq_tail_ + i) & (ring_.sq_entries - 1)], &sqes[i], sizeof(wire::Sqe));
  if (fit == 0) return 0;
  sq_tail_ += fit;
  outstanding_ += fit;
  // ORDER: release publishes the entries before the doorbell.
  shared_word(ring_.header->sq_tail).store(sq_tail_, std::memory_order_release);
  ring_bell();
  return fit;
}

void Submitter::ring_bell() {
  // ORDER: the doorbell must be visible before the sleep word is read, or both sides could sleep (store-load).
  std::atomic_thread_fence(std::memory_order_seq_cst);
  auto sleeping = shared_word(ring_.header->executor_sleeping);
  if (sleeping.load(std::memory_order_relaxed) == 0) return;
  sleeping.store(0, std::memory_order_relaxed);
  executor_.wake();
}

void Submitter::cancel(uint16_t cid) {
  shared_word(ring_.header->cancel_word).store(cid + 1u, std::memory_order_release);
  // The slot's stop thread waits on the word itself; its main thread, where it waits for a drained area, on the eventfd.
  ::syscall(SYS_futex, &ring_.header->cancel_word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  executor_.wake();
}

bool Submitter::completion_ready() const {
  return (load_last_word(&ring_.cq[cq_head_ & (ring_.cq_entries - 1)]) >> 16 & 1u) == phase_of(cq_head_, ring_.cq_entries);
}

uint32_t Submitter::reap(wire::Cqe* out, uint32_t max) {
  uint32_t n = 0;
  while (n < max && !broken_) {
    wire::Cqe* cqe = &ring_.cq[cq_head_ & (ring_.cq_entries - 1)];
    const uint32_t last = load_last_word(cqe);
    if ((last >> 16 & 1u) != phase_of(cq_head_, ring_.cq_entries)) break;
    // Copied once; the copy is what is looked at.
    wire::Cqe copy;
    std::memcpy(&copy, cqe, kLastWord);
    std::memcpy(reinterpret_cast<std::byte*>(&copy) + kLastWord, &last, sizeof last);
    if (outstanding_ == 0) {
      broken_ = true;
      break;
    }
    if (!(more_ && (copy.dw1 & 1u))) outstanding_--;
    cq_head_++;
    out[n++] = copy;
  }
  if (n) shared_word(ring_.header->cq_head).store(cq_head_, std::memory_order_release);
  return n;
}

bool Submitter::arm() {
  shared_word(ring_.header->submitter_sleeping).store(1, std::memory_order_relaxed);
  // ORDER: the sleep word must be visible before the last look at the ring (store-load).
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!completion_ready()) return true;
  disarm();
  return false;
}

void Submitter::disarm() { shared_word(ring_.header->submitter_sleeping).store(0, std::memory_order_relaxed); }

}  // namespace millrace
