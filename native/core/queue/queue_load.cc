#include "core/queue/queue_load.h"

#include <poll.h>
#include <sys/epoll.h>

#include <stdexcept>
#include <thread>

#include "core/model/clock.h"
#include "core/queue/adaptive_spin.h"
#include "core/queue/executor_ring.h"

namespace millrace {

namespace {

/** Spins as long as that pays, then sleeps on the descriptor. */
void wait_for_completion(Submitter& ring, AdaptiveSpin& spin, int fd) {
  if (spin.wait([&] { return ring.completion_ready(); }) || !ring.arm()) return;
  pollfd ready{fd, POLLIN, 0};
  ::poll(&ready, 1, -1);
  spin.woke();
  ring.disarm();
}

uint64_t next_random(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

}  // namespace

uint64_t run_queue_load(ClientLink& link, const QueueLoad& load) {
  const uint32_t queue = load.nsid == 0 ? 0 : 1;
  Submitter& ring = link.ring(queue);
  if (load.depth == 0 || load.depth > ring.room() || (load.nsid != 0 && (load.blocks == 0 || load.depth * kBlockBytes > link.data_bytes()))) throw std::runtime_error("the depth does not fit the queue or its data region");
  AdaptiveSpin spin;
  uint64_t random = load.seed;
  uint64_t sent = 0;
  uint64_t done = 0;
  // Identifiers name places of the data region; one comes back with its completion.
  std::vector<uint16_t> free(load.depth);
  for (uint32_t i = 0; i < load.depth; i++) free[i] = static_cast<uint16_t>(i);
  std::vector<wire::Sqe> batch(load.depth);
  std::vector<wire::Cqe> cqes(load.depth);
  const uint64_t start_ns = monotonic_ns();
  while (done < load.commands) {
    uint32_t n = 0;
    while (!free.empty() && sent < load.commands) {
      wire::Sqe& sqe = batch[n++];
      sqe = {};
      sqe.cid = free.back();
      free.pop_back();
      if (load.nsid == 0) {
        sqe.opc = wire::kOpcodeAdminKeepAlive;
      } else {
        const uint64_t slba = next_random(random) % load.blocks;
        sqe.opc = wire::kOpcodeRead;
        sqe.nsid = load.nsid;
        sqe.cdw10 = static_cast<uint32_t>(slba);
        sqe.cdw11 = static_cast<uint32_t>(slba >> 32);
        sqe.prp1 = sqe.cid * kBlockBytes;
        sqe.prp2 = kBlockBytes;
      }
      sent++;
    }
    if (n > 0) ring.submit(batch.data(), n);
    const uint32_t got = ring.reap(cqes.data(), load.depth);
    if (got == 0) {
      if (ring.broken()) throw std::runtime_error("the device broke the ring protocol");
      wait_for_completion(ring, spin, link.wake_fd());
      // The wake descriptor is level-triggered: what it said is taken away only after a sleep ended.
      if (!ring.completion_ready() && !link.drain_wake()) throw std::runtime_error("the association ended");
      continue;
    }
    for (uint32_t i = 0; i < got; i++) {
      if ((cqes[i].status >> 1 & 0x7ffu) != wire::kStatusSuccess) throw std::runtime_error("a command failed with status " + std::to_string(cqes[i].status >> 1 & 0x7ffu));
      free.push_back(cqes[i].cid);
    }
    done += got;
  }
  return monotonic_ns() - start_ns;
}

uint64_t run_ring_ping_pong(uint64_t round_trips) {
  constexpr uint32_t kEntries = 32;
  const SharedMemory memory = SharedMemory::create("millrace-ping-pong", RingView::bytes_for(kEntries, kEntries));
  const RingView view = RingView::over(memory.data(), kEntries, kEntries);
  const UniqueFd bell = make_event_fd();
  const UniqueFd wake = make_event_fd();
  Submitter submitter(view, Waker::event_fd(bell.get()));
  ExecutorRing executor(view, 1, Waker::event_fd(wake.get()));
  std::thread peer([&] {
    // As an I/O thread: spin, arm, look again, epoll on an eventfd nobody reads.
    const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, bell.get(), &event);
    AdaptiveSpin spin;
    for (uint64_t served = 0; served < round_trips;) {
      wire::Sqe sqe;
      if (executor.fetch(sqe) == ExecutorRing::Fetch::kOne) {
        executor.post(sqe.cid, 0, 0, 0);
        served++;
        continue;
      }
      if (spin.wait([&] { return executor.has_work(); })) continue;
      executor.arm();
      if (!executor.has_work()) {
        ::epoll_wait(epoll.get(), &event, 1, -1);
        spin.woke();
      }
      executor.disarm();
    }
  });
  AdaptiveSpin spin;
  const uint64_t start_ns = monotonic_ns();
  for (uint64_t i = 0; i < round_trips; i++) {
    const wire::Sqe sqe{};
    submitter.submit(&sqe, 1);
    wire::Cqe cqe;
    while (submitter.reap(&cqe, 1) == 0) {
      wait_for_completion(submitter, spin, wake.get());
      if (submitter.completion_ready()) continue;
      uint64_t count = 0;
      [[maybe_unused]] auto n = ::read(wake.get(), &count, sizeof count);
    }
  }
  const uint64_t took_ns = monotonic_ns() - start_ns;
  peer.join();
  return took_ns;
}

}  // namespace millrace
