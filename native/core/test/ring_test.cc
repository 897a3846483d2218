#include <sys/epoll.h>

#include <thread>
#include <vector>

#include "core/queue/adaptive_spin.h"
#include "core/queue/association_memory.h"
#include "core/queue/executor_ring.h"
#include "core/queue/submitter.h"
#include "test.h"

using namespace millrace;
using test::Random;

namespace {

struct Pair {
  explicit Pair(uint32_t entries = 16)
      : memory(SharedMemory::create("ring-test", RingView::bytes_for(entries, entries))),
        bell(make_event_fd()),
        wake(make_event_fd()),
        view(RingView::over(memory.data(), entries, entries)),
        submitter(view, Waker::event_fd(bell.get())),
        executor(view, 1, Waker::event_fd(wake.get())) {}
  SharedMemory memory;
  UniqueFd bell;
  UniqueFd wake;
  RingView view;
  Submitter submitter;
  ExecutorRing executor;
};

wire::Sqe command(uint16_t cid, uint32_t value) {
  wire::Sqe sqe{};
  sqe.opc = 2;
  sqe.cid = cid;
  sqe.cdw10 = value;
  return sqe;
}

void wait_for(int fd, bool edge) {
  UniqueFd epoll(::epoll_create1(0));
  epoll_event event{};
  event.events = EPOLLIN | (edge ? static_cast<uint32_t>(EPOLLET) : 0u);
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event);
  ::epoll_wait(epoll.get(), &event, 1, -1);
  uint64_t count = 0;
  [[maybe_unused]] auto n = ::read(fd, &count, sizeof count);
}

}  // namespace

TEST(ring_carries_fields_and_phase_over_many_wraps) {
  Pair pair;
  for (uint32_t i = 0; i < 1000; i++) {
    const wire::Sqe sqe = command(static_cast<uint16_t>(i), i);
    CHECK(pair.submitter.submit(&sqe, 1) == 1);
    wire::Sqe seen;
    CHECK(pair.executor.fetch(seen) == ExecutorRing::Fetch::kOne && seen.cdw10 == i);
    CHECK(!pair.submitter.completion_ready());
    pair.executor.post(seen.cid, 0x282, i * 3, i * 5);
    wire::Cqe cqe;
    CHECK(pair.submitter.reap(&cqe, 1) == 1);
    CHECK(cqe.cid == static_cast<uint16_t>(i) && (cqe.status >> 1) == 0x282 && cqe.dw0 == i * 3 && cqe.dw1 == i * 5 && cqe.sqid == 1);
    CHECK(pair.submitter.reap(&cqe, 1) == 0);
  }
}

TEST(ring_takes_no_more_than_its_entries) {
  Pair pair;
  std::vector<wire::Sqe> many(40, command(1, 1));
  CHECK(pair.submitter.submit(many.data(), 40) == 16);
  CHECK(pair.submitter.submit(many.data(), 1) == 0);
  wire::Sqe seen;
  for (int i = 0; i < 16; i++) CHECK(pair.executor.fetch(seen) == ExecutorRing::Fetch::kOne);
  CHECK(pair.executor.fetch(seen) == ExecutorRing::Fetch::kNone);
  CHECK(pair.submitter.room() == 0);  // fetched is not completed
  pair.executor.post(1, 0, 0, 0);
  wire::Cqe cqe[4];
  CHECK(pair.submitter.reap(cqe, 4) == 1);
  CHECK(pair.submitter.room() == 1);
}

TEST(ring_finds_a_submitter_that_rings_for_more_than_there_is) {
  Pair pair;
  shared_word(pair.view.header->sq_tail).store(17);
  CHECK(pair.executor.has_work());
  wire::Sqe seen;
  CHECK(pair.executor.fetch(seen) == ExecutorRing::Fetch::kBroken);
  Pair backwards;
  shared_word(backwards.view.header->sq_tail).store(0xffffffffu);
  CHECK(backwards.executor.fetch(seen) == ExecutorRing::Fetch::kBroken);
}

TEST(ring_finds_a_submitter_that_read_completions_nobody_posted) {
  Pair pair;
  const wire::Sqe sqe = command(1, 1);
  pair.submitter.submit(&sqe, 1);
  shared_word(pair.view.header->cq_head).store(5);
  wire::Sqe seen;
  CHECK(pair.executor.fetch(seen) == ExecutorRing::Fetch::kBroken);
}

TEST(ring_does_not_run_for_a_submitter_that_never_reads_completions) {
  Pair pair;
  wire::Sqe seen;
  uint32_t ran = 0;
  for (uint32_t i = 0; i < 100; i++) {
    shared_word(pair.view.header->sq_tail).store(i + 1);
    if (pair.executor.fetch(seen) == ExecutorRing::Fetch::kOne) {
      pair.executor.post(seen.cid, 0, 0, 0);
      ran++;
    }
    if (i + 1 - ran == 16) break;
  }
  CHECK(ran == 16);
  CHECK(!pair.executor.has_work());  // so that the I/O thread may sleep
}

TEST(ring_reuses_command_identifiers_it_is_given) {
  Pair pair;
  const std::vector<wire::Sqe> same(3, command(7, 1));
  pair.submitter.submit(same.data(), 3);
  wire::Sqe seen;
  while (pair.executor.fetch(seen) == ExecutorRing::Fetch::kOne) pair.executor.post(seen.cid, 0, 0, 0);
  wire::Cqe cqe[4];
  CHECK(pair.submitter.reap(cqe, 4) == 3 && cqe[2].cid == 7);
}

TEST(ring_finds_an_executor_that_completes_what_nobody_asked) {
  Pair pair;
  const wire::Sqe sqe = command(1, 1);
  pair.submitter.submit(&sqe, 1);
  pair.executor.post(1, 0, 0, 0);
  pair.executor.post(2, 0, 0, 0);
  wire::Cqe cqe[4];
  CHECK(pair.submitter.reap(cqe, 4) == 1);
  CHECK(pair.submitter.broken());
}

// Both sides sleep whenever they can; not one wake may be lost.
TEST(ring_loses_no_wake_between_two_sleepers) {
  constexpr uint32_t kCommands = 30'000;
  Pair pair(16);
  std::thread device([&] {
    AdaptiveSpin spin;
    uint32_t done = 0;
    Random random(1);
    while (done < kCommands) {
      wire::Sqe sqe;
      if (pair.executor.fetch(sqe) == ExecutorRing::Fetch::kOne) {
        pair.executor.post(sqe.cid, 0, sqe.cdw10 + 1, 0);
        done++;
        continue;
      }
      if (random.below(2) && spin.wait([&] { return pair.executor.has_work(); })) continue;
      pair.executor.arm();
      if (!pair.executor.has_work()) wait_for(pair.bell.get(), true);
      pair.executor.disarm();
    }
  });
  uint32_t sent = 0;
  uint32_t seen = 0;
  uint64_t sum = 0;
  Random random(2);
  while (seen < kCommands) {
    wire::Sqe batch[8];
    const uint32_t count = std::min(1 + random.below(8), kCommands - sent);
    for (uint32_t i = 0; i < count; i++) batch[i] = command(0, sent + i);
    sent += pair.submitter.submit(batch, count);
    wire::Cqe cqes[8];
    const uint32_t n = pair.submitter.reap(cqes, 8);
    for (uint32_t i = 0; i < n; i++) sum += cqes[i].dw0;
    seen += n;
    const bool nothing_to_do = sent == kCommands || pair.submitter.room() == 0;
    if (n == 0 && nothing_to_do && seen < kCommands && pair.submitter.arm()) wait_for(pair.wake.get(), false);
  }
  device.join();
  CHECK(sum == uint64_t{kCommands} * (kCommands + 1) / 2);
}

// The submitter reads a completion while its poster is still in it and the fetching thread looks: nobody has lied.
TEST(ring_whose_completions_another_thread_posts_never_looks_broken) {
  constexpr uint32_t kCommands = 100'000;
  Pair pair(16);
  std::atomic<uint32_t> fetched{0};
  std::atomic<bool> broken{false};
  std::thread device([&] {
    wire::Sqe sqe;
    for (uint32_t n = 0; n < kCommands && !broken;) {
      const auto got = pair.executor.fetch(sqe);
      if (got == ExecutorRing::Fetch::kBroken) broken = true;
      if (got == ExecutorRing::Fetch::kOne) fetched.store(++n);
      else std::this_thread::yield();
    }
  });
  std::thread poster([&] {
    for (uint32_t n = 0; n < kCommands && !broken;) {
      if (n == fetched.load()) std::this_thread::yield();
      else pair.executor.post(0, 0, n++, 0);
    }
  });
  for (uint32_t sent = 0, seen = 0; seen < kCommands && !broken;) {
    // Always one more than is completed soon: the device looks at both ends all the time.
    const wire::Sqe sqe = command(0, sent);
    if (sent < kCommands) sent += pair.submitter.submit(&sqe, 1);
    wire::Cqe cqes[16];
    const uint32_t n = pair.submitter.reap(cqes, 16);
    for (uint32_t i = 0; i < n; i++) CHECK(cqes[i].dw0 == seen++);
    if (n == 0) std::this_thread::yield();
  }
  device.join();
  poster.join();
  CHECK(!broken);
}

// Completions from several threads (an I/O thread and feeders) of one ring.
TEST(ring_takes_completions_from_many_threads) {
  constexpr uint32_t kRounds = 300;
  Pair pair(64);
  for (uint32_t round = 0; round < kRounds; round++) {
    std::vector<wire::Sqe> batch;
    for (uint16_t cid = 0; cid < 64; cid++) batch.push_back(command(cid, cid));
    CHECK(pair.submitter.submit(batch.data(), 64) == 64);
    std::vector<uint16_t> cids;
    wire::Sqe sqe;
    while (pair.executor.fetch(sqe) == ExecutorRing::Fetch::kOne) cids.push_back(sqe.cid);
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; t++)
      threads.emplace_back([&, t] {
        for (size_t i = static_cast<size_t>(t); i < cids.size(); i += 2) pair.executor.post(cids[i], 0, cids[i], 0);
      });
    uint64_t mask = 0;
    while (mask != ~0ull) {
      wire::Cqe cqes[64];
      const uint32_t n = pair.submitter.reap(cqes, 64);
      for (uint32_t i = 0; i < n; i++) {
        CHECK(cqes[i].dw0 == cqes[i].cid && !(mask >> cqes[i].cid & 1));
        mask |= 1ull << cqes[i].cid;
      }
    }
    for (auto& thread : threads) thread.join();
  }
}
