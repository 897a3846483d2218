// Hosts that send anything: random and nearly right entries, data and entries that change while they are used, and every
// order in which the two sides of a small ring can move. Only known statuses, nothing hangs, other hosts go on.
#include <poll.h>

#include <functional>
#include <thread>

#include "core/queue/executor_ring.h"
#include "core/queue/submitter.h"
#include "fuzz_entry.h"
#include "in_use.h"
#include "test_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr uint64_t kDataBytes = 4 << 20;
/** What one round may leave behind: allocators and lists round up, a record per command would be many times this. */
constexpr uint64_t kSlackBytes = 32 << 10;

/** Sends one entry and waits for its answer; false: it waits for an event. */
bool exchange(ClientLink& link, uint32_t queue, wire::Sqe sqe, uint16_t cid, uint32_t step, uint32_t& status) {
  sqe.cid = cid;
  if (link.ring(queue).submit(&sqe, 1) != 1) report("the ring is full", step, queue, sqe, 0);
  for (;;) {
    wire::Cqe cqes[16];
    const uint32_t n = link.reap(cqes, 16);
    for (uint32_t i = 0; i < n; i++) {
      if (cqes[i].cid != cid) continue;  // an event request of before
      status = cqes[i].status >> 1 & 0x7ffu;
      return true;
    }
    if (n > 0) continue;
    if (queue == 0 && sqe.opc == wire::kOpcodeAdminAsyncEventRequest) return false;
    if (!link.arm()) continue;
    pollfd fd{link.wake_fd(), POLLIN, 0};
    if (::poll(&fd, 1, 20'000) == 0) report("no completion for 20 s", step, queue, sqe, 0);
    if (!link.drain_wake()) report("the association was closed", step, queue, sqe, 0);
  }
}

/** So many entries, one after the other. `cid` goes on where the storm before ended. */
void storm(ClientLink& link, uint64_t salt, uint32_t steps, uint16_t& cid, const std::function<void(uint32_t step)>& meanwhile = {}) {
  Random random(salt);
  for (uint32_t step = 0; step < steps; step++) {
    uint32_t queue = 0;
    const wire::Sqe sqe = entry(random, queue, kDataBytes);
    uint32_t status = 0;
    if (exchange(link, queue, sqe, cid++, step, status) && !known(status)) report("a status nobody knows", step, queue, sqe, status);
    if (meanwhile && step % 64 == 0) meanwhile(step);
  }
}

void storm_beside_another(uint64_t salt, uint32_t steps, bool changing) {
  TestDevice d(0, 16ull << 20, false, with_keys);
  const auto link = d.device->attach(64, kDataBytes);
  Host other(attach(d));
  wire::Sqe look{};
  look.opc = wire::kOpcodeRead;
  look.nsid = wire::kNsidRaw;
  std::atomic<bool> stop{false};
  std::thread changer;
  if (changing)
    changer = std::thread([&, noise = Random(salt + 1)]() mutable {
      // Whatever the device is about to use changes under it: descriptors, ranges, features, data.
      while (!stop.load()) link->data()[noise.below(1 << 18)] = static_cast<std::byte>(noise.next());
    });
  uint16_t cid = 0;
  storm(*link, salt, steps, cid, [&](uint32_t step) {
    if (other.run(1, look, 0, 4096).status != 0) report("another host is affected", step, 1, look, 0);
  });
  stop.store(true);
  if (changer.joinable()) changer.join();
  CHECK(d.device->associations() == 2);
}

/** Programs nobody loaded before, one after the other in the same place. */
void load_strangers(ClientLink& link, Random& random, uint32_t count, uint16_t& cid) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeAdminLoadProgram;
  sqe.nsid = wire::kNsidCompute;
  sqe.cdw10 = 63;
  sqe.cdw11 = sqe.cdw14 = 64;
  sqe.prp2 = 64;
  for (uint32_t i = 0; i < count; i++) {
    for (uint32_t at = 0; at < 64; at++) link.data()[at] = static_cast<std::byte>(random.next());
    uint32_t status = 0;
    if (!exchange(link, 0, sqe, cid++, i, status) || status != 0) report("a program is not loaded", i, 0, sqe, status);
  }
}

[[noreturn]] void report_growth(const char* what, uint32_t round, const InUse& before, const InUse& now) {
  std::fprintf(stderr, "{\"what\":\"%s\",\"seed\":%llu,\"round\":%u,\"heapBytes\":[%llu,%llu],\"descriptors\":[%zu,%zu],\"regions\":[%zu,%zu]}\nreplay: SEED=%llu make -C native/core/test TEST=grow_fuzz\n", what,
               static_cast<unsigned long long>(seed()), round, static_cast<unsigned long long>(before.heap_bytes), static_cast<unsigned long long>(now.heap_bytes), before.descriptors, now.descriptors, before.regions,
               now.regions, static_cast<unsigned long long>(seed()));
  std::abort();
}

// Every order of the two sides' moves on a ring with `entries` entries, against a count of what must hold.

struct Walk {
  uint32_t submitted = 0;
  uint32_t fetched = 0;
  uint32_t posted = 0;
  uint32_t reaped = 0;
};

void replay(uint32_t entries, const std::vector<uint8_t>& moves) {
  SharedMemory memory = SharedMemory::create("walk", RingView::bytes_for(entries, entries));
  const RingView view = RingView::over(memory.data(), entries, entries);
  Submitter submitter(view, Waker());
  ExecutorRing executor(view, 1, Waker());
  Walk w;
  std::deque<uint16_t> running;
  for (const uint8_t move : moves) {
    switch (move) {
      case 0: {
        wire::Sqe sqe{};
        sqe.cid = static_cast<uint16_t>(w.submitted);
        const bool room = w.submitted - w.reaped < entries;
        CHECK(submitter.submit(&sqe, 1) == (room ? 1u : 0u));
        w.submitted += room;
        break;
      }
      case 1: {
        wire::Sqe sqe;
        const bool there = w.fetched < w.submitted;
        CHECK(executor.has_work() == there);
        CHECK(executor.fetch(sqe) == (there ? ExecutorRing::Fetch::kOne : ExecutorRing::Fetch::kNone));
        if (there) {
          CHECK(sqe.cid == w.fetched);
          running.push_back(sqe.cid);
          w.fetched++;
        }
        break;
      }
      case 2:
        if (running.empty()) break;
        executor.post(running.back(), 0, running.back(), 0);  // completions may come out of order
        running.pop_back();
        w.posted++;
        break;
      default: {
        wire::Cqe cqe;
        const bool there = w.reaped < w.posted;
        CHECK(submitter.completion_ready() == there);
        CHECK(submitter.reap(&cqe, 1) == (there ? 1u : 0u));
        w.reaped += there;
        if (there) CHECK(cqe.dw0 == cqe.cid);
      }
    }
    CHECK(!submitter.broken() && submitter.outstanding() == w.submitted - w.reaped && executor.outstanding() == w.fetched - w.posted);
  }
}

void enumerate(uint32_t entries, uint32_t length) {
  std::vector<uint8_t> moves(length, 0);
  for (;;) {
    replay(entries, moves);
    size_t i = 0;
    while (i < length && ++moves[i] == 4) moves[i++] = 0;
    if (i == length) return;
  }
}

}  // namespace

TEST(command_fuzz_of_nearly_right_entries) { storm_beside_another(101, rounds(20'000), false); }

#if !defined(__SANITIZE_THREAD__)
// The changes race with the device by design: memory both sides share is the host's to write at any time.
TEST(command_fuzz_of_entries_whose_data_changes_meanwhile) { storm_beside_another(202, rounds(10'000), true); }
#endif

TEST(command_fuzz_of_every_order_of_a_small_ring) {
  const uint32_t length = rounds(1) > 1 ? 9 : 7;
  for (const uint32_t entries : {2u, 4u}) enumerate(entries, length);
}

TEST(hosts_that_come_and_go_do_not_grow_fuzz) {
  TestDevice d(0, 16ull << 20, false, with_keys);
  Host other(attach(d));
  Random random(505);
  InUse before{};
  for (uint32_t round = 0; round < 3 + rounds(4); round++) {
    {
      const auto link = d.device->attach(64, kDataBytes);
      uint16_t cid = 0;
      storm(*link, 606 + round % 2, 1500, cid);
      load_strangers(*link, random, 1000, cid);
    }
    while (d.device->associations() > 1) std::this_thread::yield();
    // The first rounds fill what is kept for ever, each of it bounded.
    if (round == 2) before = InUse::now();
    if (round > 2 && !InUse::falls_to(before, kSlackBytes)) report_growth("hosts that left are still paid for", round, before, InUse::now());
  }
}

TEST(a_host_that_stays_does_not_grow_fuzz) {
  TestDevice d(0, 16ull << 20, false, with_keys);
  const auto link = d.device->attach(64, kDataBytes);
  Random random(707);
  InUse before{};
  uint16_t cid = 0;
  for (uint32_t round = 0; round < 3 + rounds(4); round++) {
    storm(*link, 808, 1500, cid);  // the same again: it leaves the host's state as it was
    load_strangers(*link, random, 1000, cid);
    if (round == 2) before = InUse::now();
    if (round > 2 && !InUse::falls_to(before, kSlackBytes)) report_growth("a host's commands are still paid for", round, before, InUse::now());
  }
}
