// The executing side of a slot's ring. One thread (the slot's main thread). The device is the submitter and is trusted.
#pragma once
#include <cstdint>

#include "core/queue/adaptive_spin.h"
#include "core/queue/ring.h"

namespace millrace {

class SlotRing {
 public:
  /** Maps the ring memfd and waits on wake_fd (non-blocking eventfd) through an epoll made now. Throws std::system_error. */
  SlotRing(int ring_fd, int wake_fd, int done_fd);

  /** Blocks until a command is there; returns a copy of it. */
  wire::Sqe next();
  /** Whether next() would return at once. */
  bool waiting() const { return shared_word(ring_.header->sq_tail).load(std::memory_order_acquire) != sq_head_; }
  /** Posts a completion. `status` is SCT<<8 | SC; more: dw1 bit 0, the command goes on after go_on. */
  void complete(uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1);
  /** Blocks until the device drained the output area that was announced last. False: the command is to stop. */
  bool wait_continue(uint16_t cid);
  /** wait_continue() would return true at once. */
  bool may_continue(uint16_t cid) const {
    const uint32_t word = shared_word(ring_.header->continue_word).load(std::memory_order_acquire);
    return word != continue_seen_ && (word & 0xffffu) == cid + 1u;
  }
  /** Call before the completion that announces a full area. */
  void note_continue_word();

  uint32_t cancel_word() const { return shared_word(ring_.header->cancel_word).load(std::memory_order_acquire); }
  uint32_t* cancel_word_address() { return &ring_.header->cancel_word; }
  /** Wipes the word unless it names this command: the device may ask to stop one that has not begun. */
  void wipe_cancel_word_but(uint32_t mine) {
    auto shared = shared_word(ring_.header->cancel_word);
    uint32_t word = shared.load(std::memory_order_acquire);
    while (word != 0 && word != mine && !shared.compare_exchange_weak(word, 0, std::memory_order_acq_rel)) {
    }
  }

  std::byte* data() const { return data_; }
  uint64_t data_bytes() const;

 private:
  template <typename Ready>
  void sleep_until(Ready&& ready);

  RingView ring_;
  std::byte* data_ = nullptr;
  int wake_fd_;
  int done_fd_;
  int epoll_fd_;
  uint32_t sq_head_ = 0;
  uint32_t cq_tail_ = 0;
  uint32_t ended_ = 0;
  uint32_t continue_seen_ = 0;
  AdaptiveSpin spin_{AdaptiveSpin::kPauseNs};
};

}  // namespace millrace
