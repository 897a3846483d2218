// Arbitration, and queues made by commands.
#include <map>

#include "core/queue/arbiter.h"
#include "test_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

/** Queues with so many commands each; records the order they are served in. */
struct Backlog {
  std::map<uint32_t, uint32_t> left;
  std::vector<uint32_t> order;
  uint32_t budget = ~0u;

  void run(Arbiter& arbiter) {
    arbiter.run([this](uint32_t queue) {
      if (budget == 0) return Arbiter::Served::kStop;
      if (left[queue] == 0) return Arbiter::Served::kNone;
      left[queue]--;
      budget--;
      order.push_back(queue);
      return Arbiter::Served::kOne;
    });
  }
  uint32_t count(uint32_t queue, size_t first) const { return static_cast<uint32_t>(std::count(order.begin(), order.begin() + static_cast<ptrdiff_t>(std::min(first, order.size())), queue)); }
};

wire::Sqe admin(uint32_t opc, uint32_t cdw10, uint32_t cdw11 = 0) {
  wire::Sqe sqe{};
  sqe.opc = static_cast<uint8_t>(opc);
  sqe.cdw10 = cdw10;
  sqe.cdw11 = cdw11;
  return sqe;
}

constexpr uint64_t kSqAt = 1 << 20;
constexpr uint64_t kCqAt = (1 << 20) + (1 << 18);

void make_queue(Host& host, uint32_t id, uint32_t entries, uint64_t shift = 0) {
  CHECK(host.run(0, admin(wire::kOpcodeAdminCreateIoCq, id | (entries - 1) << 16, 1), kCqAt + shift, entries * 16).status == 0);
  CHECK(host.run(0, admin(wire::kOpcodeAdminCreateIoSq, id | (entries - 1) << 16, 1 | id << 16), kSqAt + shift, 4096 + entries * 64).status == 0);
  host.link().add_queue(id, kSqAt + shift, kCqAt + shift, entries);
}

wire::Sqe read_raw(uint32_t slba) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeRead;
  sqe.nsid = wire::kNsidRaw;
  sqe.cdw10 = slba;
  return sqe;
}

}  // namespace

TEST(arbiter_serves_the_admin_queue_and_the_urgent_class_first) {
  Arbiter arbiter;
  arbiter.configure(0, true);
  arbiter.add(1, QueueClass::kLow);
  arbiter.add(2, QueueClass::kUrgent);
  arbiter.add(3, QueueClass::kUrgent);
  Backlog b{{{0, 3}, {1, 2}, {2, 4}, {3, 4}}, {}, ~0u};
  b.run(arbiter);
  CHECK((b.order == std::vector<uint32_t>{0, 0, 0, 2, 3, 2, 3, 2, 3, 2, 3, 1, 1}));
}

TEST(arbiter_shares_by_weight_over_many_turns) {
  Arbiter arbiter;
  arbiter.configure(2u | 0u << 8 | 2u << 16 | 7u << 24, true);  // burst 4; low 1, medium 3, high 8
  arbiter.add(1, QueueClass::kHigh);
  arbiter.add(2, QueueClass::kMedium);
  arbiter.add(3, QueueClass::kLow);
  Backlog b{{{1, 100'000}, {2, 100'000}, {3, 100'000}}, {}, 0};
  for (int turn = 0; turn < 300; turn++) {
    b.budget = 7;  // as an I/O thread cuts a turn
    b.run(arbiter);
  }
  const uint32_t low = b.count(3, b.order.size());
  CHECK(low >= 2100 / 12 - 1 && low <= 2100 / 12 + 1);
  CHECK(b.count(2, b.order.size()) >= 3 * low - 3 && b.count(1, b.order.size()) >= 8 * low - 8);
}

TEST(arbiter_takes_turns_within_a_class_and_lets_nobody_starve) {
  Arbiter arbiter;
  arbiter.configure(7u | 3u << 8 | 3u << 16 | 3u << 24, true);  // no burst limit: the weight limits
  for (uint32_t queue = 1; queue <= 6; queue++) arbiter.add(queue, queue % 2 ? QueueClass::kHigh : QueueClass::kLow);
  Backlog b{{}, {}, 240};
  for (uint32_t queue = 1; queue <= 6; queue++) b.left[queue] = 1000;
  b.run(arbiter);
  for (uint32_t queue = 1; queue <= 6; queue++) CHECK(b.count(queue, 240) == 40);
  // Without weights all are one class.
  Arbiter plain;
  plain.configure(0, false);
  plain.cover(4);
  Backlog even{{{1, 9}, {2, 9}, {3, 9}}, {}, 9};
  even.run(plain);
  CHECK((even.order == std::vector<uint32_t>{1, 2, 3, 1, 2, 3, 1, 2, 3}));
}

TEST(arbiter_survives_queues_that_go_while_it_serves) {
  Arbiter arbiter;
  arbiter.configure(0, true);
  for (uint32_t queue = 1; queue <= 3; queue++) arbiter.add(queue, QueueClass::kUrgent);
  uint32_t served = 0;
  arbiter.run([&](uint32_t queue) {
    if (queue == 0) return Arbiter::Served::kNone;
    arbiter.remove(queue);
    served++;
    return Arbiter::Served::kNone;
  });
  CHECK(served >= 1 && served <= 3);
}

TEST(queues_are_made_used_and_deleted) {
  TestDevice d(0);
  Host host(attach(d));
  for (uint32_t round = 0; round < 3; round++) {
    make_queue(host, 2, 16);
    make_queue(host, 7, 4, 1 << 19);
    for (uint32_t i = 0; i < 200; i++) CHECK(host.run(i % 2 ? 2 : 7, read_raw(i), 0, 4096).status == 0);
    CHECK(host.run(0, admin(wire::kOpcodeAdminDeleteIoSq, 2)).status == 0);
    CHECK(host.run(0, admin(wire::kOpcodeAdminDeleteIoCq, 2)).status == 0);
    CHECK(host.run(0, admin(wire::kOpcodeAdminDeleteIoSq, 7)).status == 0);
    CHECK(host.run(0, admin(wire::kOpcodeAdminDeleteIoCq, 7)).status == 0);
    host.link().remove_queue(2);
    host.link().remove_queue(7);
    CHECK(host.run(1, read_raw(0), 0, 4096).status == 0);
  }
}

TEST(queue_deletion_waits_for_what_is_under_way_and_aborts_what_waits) {
  TestDevice d(1);
  Host host(attach(d));
  Random random(31);
  host.put_dataset(*d.device, 1, 1, 4, 300, random);
  host.load(0, 'H');
  make_queue(host, 2, 16);
  const Answer scan = host.open(1, 0, wire::kScanFlagDeviceRuns, 1, 4);
  wire::Sqe fetch{};
  fetch.opc = wire::kOpcodeScanResult;
  fetch.nsid = wire::kNsidCompute;
  fetch.cdw10 = scan.dw0;
  std::vector<uint16_t> waiting;
  for (int i = 0; i < 3; i++) waiting.push_back(host.send(2, fetch, 4096, 4096));
  wire::Sqe flush{};
  flush.opc = wire::kOpcodeFlush;
  flush.nsid = wire::kNsidAll;
  std::vector<uint16_t> flushes;
  for (int i = 0; i < 8; i++) flushes.push_back(host.send(2, flush));
  for (const uint16_t cid : flushes) CHECK(host.wait(cid).status == 0);
  CHECK(host.run(0, admin(wire::kOpcodeAdminDeleteIoSq, 2)).status == 0);
  for (const uint16_t cid : waiting) CHECK(host.done(cid) && host.wait(cid).status == wire::kStatusAbortedQueueDeletion);
  host.scan(wire::kOpcodeScanClose, scan.dw0, 0, 0, 0);
}
