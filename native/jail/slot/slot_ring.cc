#include "jail/slot/slot_ring.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/limits.h"
#include "jail/slot_contract.h"

namespace millrace {

namespace {
constexpr size_t kLastWord = 12;
[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }
}  // namespace

SlotRing::SlotRing(int ring_fd, int wake_fd, int done_fd) : wake_fd_(wake_fd), done_fd_(done_fd) {
  const uint64_t bytes = slot_ring_bytes() + kSlotDataBytes;
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
  if (at == MAP_FAILED) fail("mmap of the slot's ring");
  auto* base = static_cast<std::byte*>(at);
  ring_ = RingView::over(base, kSlotRingEntries, kSlotRingEntries);
  data_ = base + slot_ring_bytes();
  epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  if (epoll_fd_ < 0 || ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) fail("epoll of the slot's wake descriptor");
}

uint64_t SlotRing::data_bytes() const { return kSlotDataBytes; }

template <typename Ready>
void SlotRing::sleep_until(Ready&& ready) {
  if (spin_.wait(ready)) return;
  auto sleeping = shared_word(ring_.header->executor_sleeping);
  for (;;) {
    sleeping.store(1, std::memory_order_relaxed);
    // ORDER: the sleep word must be visible before the last look (store-load), else both sides could sleep.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (ready()) break;
    epoll_event event;
    // epoll_pwait is the blocking call the filter knows: the eventfd is non-blocking so that no slot can block the device on it.
    if (::epoll_pwait(epoll_fd_, &event, 1, -1, nullptr) > 0) {
      uint64_t count;
      [[maybe_unused]] auto n = ::read(wake_fd_, &count, sizeof count);
    }
    spin_.woke();
    if (ready()) break;
  }
  sleeping.store(0, std::memory_order_relaxed);
}

wire::Sqe SlotRing::next() {
  // ORDER: acquire pairs with the submitter's release of the tail: the entry is complete.
  sleep_until([this] { return waiting(); });
  wire::Sqe copy;
  std::memcpy(&copy, &ring_.sq[sq_head_++ & (ring_.sq_entries - 1)], sizeof copy);
  // For the supervisor's watchdog: a slot that owes an answer and takes nothing has fallen silent.
  shared_word(ring_.header->executor_fetched).store(sq_head_, std::memory_order_release);
  return copy;
}

void SlotRing::complete(uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1) {
  wire::Cqe* cqe = &ring_.cq[cq_tail_ & (ring_.cq_entries - 1)];
  const uint32_t phase = 1u ^ ((cq_tail_ / ring_.cq_entries) & 1u);
  cqe->dw0 = dw0;
  cqe->dw1 = dw1;
  cqe->sqhd = static_cast<uint16_t>(sq_head_ & (ring_.sq_entries - 1));
  cqe->sqid = 1;
  // SAFETY: a Cqe is 16 B on a 16 B boundary; cid and status are its last word.
  auto* last = reinterpret_cast<uint32_t*>(reinterpret_cast<std::byte*>(cqe) + kLastWord);
  // ORDER: release publishes the first 12 bytes and the output area with the phase bit.
  shared_word(*last).store(uint32_t{cid} | (status << 1 | phase) << 16, std::memory_order_release);
  cq_tail_++;
  if ((dw1 & 1u) == 0) shared_word(ring_.header->executor_ended).store(++ended_, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  auto sleeping = shared_word(ring_.header->submitter_sleeping);
  if (sleeping.load(std::memory_order_relaxed) == 0) return;
  sleeping.store(0, std::memory_order_relaxed);
  const uint64_t one = 1;
  [[maybe_unused]] auto n = ::write(done_fd_, &one, sizeof one);
}

void SlotRing::note_continue_word() { continue_seen_ = shared_word(ring_.header->continue_word).load(std::memory_order_acquire); }

bool SlotRing::wait_continue(uint16_t cid) {
  sleep_until([&] { return may_continue(cid) || cancel_word() == cid + 1u; });
  return may_continue(cid);
}

}  // namespace millrace
