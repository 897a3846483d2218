// Models in virtual time, to the nanosecond; and what drives them, by lower bounds only.
#include <atomic>
#include <vector>

#include "core/device/link_gate.h"
#include "core/model/core.h"
#include "core/model/link.h"
#include "test_host.h"

using namespace millrace;
using namespace millrace::test;

TEST(link_model_takes_bytes_no_faster_than_the_rate_and_shows_the_latency_once) {
  LinkModel link({125'000'000, 200'000});  // 1 Gbit/s, 0.2 ms
  CHECK(link.arrival_ns(125'000, 0) == 1'000'000 + 200'000);
  CHECK(link.arrival_ns(125'000, 0) == 2'000'000 + 200'000);          // waits for the first
  CHECK(link.arrival_ns(125'000, 10'000'000) == 11'000'000 + 200'000);  // the pipe was idle
  CHECK(link.arrival_ns(0, 11'000'000) == 11'000'000 + 200'000);
  CHECK(link.totals().transfers == 4 && link.totals().bytes == 375'000 && link.totals().busy_ns == 3'000'000);
  CHECK(link.totals().delay_ns == 1'200'000 + 2'200'000 + 1'200'000 + 200'000);
}

TEST(link_model_loses_no_fraction_over_many_small_transfers) {
  Random random(71);
  for (int round = 0; round < 50; round++) {
    const uint64_t rate = 1 + random.below(2'000'000'000);
    LinkModel link({rate, 0});
    uint64_t bytes = 0;
    uint64_t arrival = 0;
    for (int i = 0; i < 200; i++) {
      const uint64_t n = random.below(100'000);
      bytes += n;
      arrival = link.arrival_ns(n, 0);
    }
    CHECK(arrival == static_cast<uint64_t>(static_cast<unsigned __int128>(bytes) * 1'000'000'000u / rate));
  }
}

TEST(link_model_gives_out_no_time_twice_whatever_the_ready_times) {
  Random random(72);
  constexpr uint64_t kRate = 1'000'003;
  LinkModel link({kRate, 5'000});
  struct Transfer {
    uint64_t ready_ns;
    uint64_t done_ns;
    uint64_t bytes;
  };
  std::vector<Transfer> transfers;
  for (int i = 0; i < 1000; i++) {
    const uint64_t bytes = random.below(5000);
    const uint64_t ready_ns = random.below(4'000'000'000u);
    const uint64_t arrival_ns = link.arrival_ns(bytes, ready_ns);
    CHECK(arrival_ns >= ready_ns + 5'000 + bytes * 1'000'000'000 / kRate);
    transfers.push_back({ready_ns, arrival_ns - 5'000, bytes});
  }
  // What became ready and was through within any window fits the rate.
  for (int i = 0; i < 200; i++) {
    const uint64_t from_ns = random.below(4'000'000'000u);
    const uint64_t to_ns = from_ns + random.below(1'000'000'000u);
    uint64_t bytes = 0;
    for (const Transfer& t : transfers)
      if (t.ready_ns >= from_ns && t.done_ns <= to_ns) bytes += t.bytes;
    CHECK(bytes <= (to_ns - from_ns) * kRate / 1'000'000'000 + 1);
  }
}

TEST(link_model_lets_what_is_ready_earlier_through_the_gaps) {
  LinkModel link({1'000'000'000, 0});  // a byte per ns
  CHECK(link.arrival_ns(100, 1000) == 1100);
  CHECK(link.arrival_ns(100, 0) == 100);       // the pipe was idle before
  CHECK(link.arrival_ns(1000, 100) == 1200);   // 900 before the first, 100 after it
  CHECK(link.arrival_ns(1, 50) == 1201);
  CHECK(link.arrival_ns(10, 5000) == 5010);
}

TEST(link_model_without_a_rate_is_latency_alone) {
  LinkModel link({0, 7});
  CHECK(link.arrival_ns(1ull << 40, 5) == 12);
  CHECK(link.arrival_ns(1ull << 40, 5) == 12);
  CHECK((!LinkSettings{}.on() && LinkSettings{1, 0}.on() && LinkSettings{0, 1}.on()));
}

TEST(core_model_stretches_cpu_time) {
  CHECK((CoreModel{3}.release_ns(100, 50) == 250));
  CHECK((CoreModel{1.5}.release_ns(0, 1'000'000'000'000) == 1'500'000'000'000));
  CHECK((!CoreModel{}.on()));
}

TEST(link_gate_lets_arrive_in_order_and_never_early_and_keeps_nobody_at_its_end) {
  std::vector<int> order;
  std::atomic<int> arrived{0};
  {
    LinkGate gate({10'000'000, 1'000'000});
    const uint64_t from = monotonic_ns();
    for (int i = 0; i < 20; i++)
      gate.transfer(1000, i % 3 != 0, [&, i, from] {
        if (i < 10) CHECK(monotonic_ns() - from >= static_cast<uint64_t>(i) * 100'000);
        order.push_back(i);
        arrived.fetch_add(1);
      });
    while (arrived.load() < 10) std::this_thread::yield();
    gate.transfer(1ull << 40, false, [&] { arrived.fetch_add(1); });  // 30 hours: the end lets it go
    CHECK(gate.totals().bytes == 20'000 + (1ull << 40) && gate.totals().busy_ns == 20 * 100'000 + (1ull << 40) * 100);
  }
  CHECK(arrived.load() == 21);
  for (int i = 0; i < 20; i++) CHECK(order[static_cast<size_t>(i)] == i);
}

TEST(slow_cores_give_the_same_results_and_count_what_they_model) {
  TestDevice d(2, 16ull << 20, false, [](DeviceSettings& s) { s.core.factor = 4; });
  Host host(attach(d));
  Random random(73);
  const auto sums = host.put_dataset(*d.device, 1, 1, 30, 20'000, random);
  uint32_t program = 0;
  for (const char act : {'s', 'm', 'd'}) {  // one area, four areas, slots that die under held completions of others
    host.load(program, act);
    const uint64_t cpu_before = Counters::get(d.device->counters().core_cpu_ns);
    const Answer opened = host.open(1, program++, wire::kScanFlagDeviceRuns, 1, 30);
    CHECK(opened.status == 0);
    const auto result = host.drain(opened.dw0);
    if (act != 'd') CHECK(result.faults.empty() && result.values.size() == 30 && result.device_ran == 30);
    for (const auto& [morsel, values] : result.values) {
      if (act == 'm') CHECK(values.size() == 4);
      else CHECK(values.size() == 1 && values[0] == sums[morsel]);
    }
    for (const auto& [morsel, fault] : result.faults) CHECK(fault == wire::kGuestFaultSlotKilled);
    CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
    CHECK(Counters::get(d.device->counters().core_cpu_ns) > cpu_before);
  }
  const uint64_t cpu = Counters::get(d.device->counters().core_cpu_ns);
  CHECK(Counters::get(d.device->counters().core_model_ns) == cpu * 4);
}

TEST(closing_a_scan_on_slow_cores_waits_for_no_core) {
  TestDevice d(1, 16ull << 20, false, [](DeviceSettings& s) { s.core.factor = 1000; });
  Host host(attach(d));
  Random random(74);
  host.put_dataset(*d.device, 1, 1, 8, 60'000, random);
  host.load(0, 's');
  const Answer opened = host.open(1, 0, wire::kScanFlagDeviceRuns, 1, 8);
  while (Counters::get(d.device->counters().core_cpu_ns) == 0) std::this_thread::yield();
  CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
  while (d.device->scans().scans_open() > 0) std::this_thread::yield();
}
