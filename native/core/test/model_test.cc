// Models in virtual time, to the nanosecond; and what drives them, by lower bounds only.
#include <atomic>
#include <vector>

#include "core/device/completion_gate.h"
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

TEST(completion_gate_lets_arrive_in_order_and_never_early_and_keeps_nobody_at_its_end) {
  std::vector<int> order;
  std::atomic<int> arrived{0};
  {
    CompletionGate gate({{}, {10'000'000, 1'000'000}, {}}, 1 << 20);
    const uint64_t from = monotonic_ns();
    for (int i = 0; i < 20; i++)
      gate.transfer(1000, i % 3 != 0, [&, i, from] {
        if (i < 10) CHECK(monotonic_ns() - from >= static_cast<uint64_t>(i) * 100'000);
        order.push_back(i);
        arrived.fetch_add(1);
      });
    while (arrived.load() < 10) std::this_thread::yield();
    gate.transfer(1ull << 40, false, [&] { arrived.fetch_add(1); });  // 30 hours: the end lets it go
    const auto totals = gate.with_model([](const DeviceModel& model) { return model.link().totals(); });
    CHECK(totals.bytes == 20'000 + (1ull << 40) && totals.busy_ns == 20 * 100'000 + (1ull << 40) * 100);
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

namespace {
/** One LUN, tR 30 ms: far slower than the machine, so that a bound says something. */
FlashSettings slow_flash() {
  FlashSettings s;
  s.channels = s.luns_per_channel = s.page_types = 1;
  s.flash_page_bytes = s.program_bytes = s.channel_chunk_bytes = 4096;
  s.pages_per_block = 64;
  s.read_small_ns = s.read_ns = 30'000'000;
  s.program_ns = 40'000'000;
  s.channel_bytes_per_second = 1e12;
  s.buffer_bytes = 1 << 20;
  s.write_fixed_ns = 5'000'000;
  return s;
}
wire::Sqe block(uint8_t opc, uint64_t slba) {
  wire::Sqe sqe{};
  sqe.opc = opc;
  sqe.nsid = wire::kNsidNvm;
  sqe.cdw10 = static_cast<uint32_t>(slba);
  return sqe;
}
}  // namespace

TEST(modelled_media_completes_no_command_early_and_holds_up_nobody_else) {
  TestDevice d(0, 16ull << 20, false, [](DeviceSettings& s) { s.model.media = slow_flash(); });
  Host host(attach(d));
  const uint64_t from = monotonic_ns();
  std::memset(host.data(), 7, 4096);
  CHECK(host.run(1, block(wire::kOpcodeWrite, 3), 0, 4096).status == 0);
  CHECK(monotonic_ns() - from >= 5'000'000);
  CHECK(host.run(1, block(wire::kOpcodeFlush, 0)).status == 0);
  CHECK(monotonic_ns() - from >= 45'000'000);  // the program behind the early completion
  const uint64_t read_from = monotonic_ns();
  std::vector<uint16_t> reads;
  for (uint64_t i = 0; i < 4; i++) reads.push_back(host.send(1, block(wire::kOpcodeRead, 3), i * 4096, 4096));
  wire::Sqe identify{};
  identify.opc = wire::kOpcodeAdminIdentify;
  identify.cdw10 = 1;
  CHECK(host.run(0, identify, 64 << 10, 4096).status == 0);
  CHECK(!host.done(reads.back()));  // the model would have to be four reads further
  for (size_t i = 0; i < reads.size(); i++) {
    CHECK(host.wait(reads[i]).status == 0);
    CHECK(monotonic_ns() - read_from >= (i + 1) * 30'000'000);  // one LUN: one after the other
    CHECK(static_cast<uint8_t>(host.data(i * 4096)[100]) == 7);
  }
  const auto reads_seen = d.device->gate()->with_model([](const DeviceModel& model) { return model.reads(); });
  CHECK(reads_seen.count() == 4 && reads_seen.max_ns() >= 110'000'000 && reads_seen.max_ns() <= 121'000'000);
  CHECK(d.device->gate()->lateness().count() == 6);
}

TEST(modelled_media_feeds_slots_no_earlier_and_gives_the_same_results) {
  for (const double factor : {1.0, 3.0}) {
    FlashSettings flash = slow_flash();
    flash.read_small_ns = flash.read_ns = 2'000'000;
    TestDevice d(2, 16ull << 20, false, [&](DeviceSettings& s) {
      s.model.media = flash;
      s.core.factor = factor;
    });
    Host host(attach(d));
    Random random(75);
    const auto sums = host.put_dataset(*d.device, 1, 1, 12, 4000, random);
    uint32_t program = 0;
    for (const char act : {'s', 'm', 'd'}) {  // one area, four areas, slots that die
      host.load(program, act);
      const uint64_t from = monotonic_ns();
      const uint64_t read_before = Counters::get(d.device->counters().media_read_bytes);
      const Answer opened = host.open(1, program++, wire::kScanFlagDeviceRuns | wire::kScanFlagFeedWindow, 1, 12);
      CHECK(opened.status == 0);
      const auto result = host.drain(opened.dw0);
      const uint64_t pages = (Counters::get(d.device->counters().media_read_bytes) - read_before) / 4096;
      if (act != 'd') CHECK(pages == 12 && monotonic_ns() - from >= 12 * 2'000'000 && result.faults.empty());
      for (const auto& [morsel, values] : result.values)
        if (act == 's') CHECK(values.size() == 1 && values[0] == sums[morsel]);
      CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
    }
  }
}

TEST(completion_gate_calls_never_early_and_counts_lateness) {
  std::atomic<int> called{0};
  const uint64_t now = monotonic_ns();
  {
    CompletionGate gate({slow_flash(), {}, {}}, 1 << 20);
    for (int i = 0; i < 50; i++) {
      const uint64_t due = now + static_cast<uint64_t>((i * 7) % 50) * 100'000;
      gate.hold(due, [&, due] {
        CHECK(monotonic_ns() >= due);
        called.fetch_add(1);
      });
    }
    while (called.load() < 50) std::this_thread::yield();
    bool inline_call = false;
    gate.hold(now, [&] { inline_call = true; });
    CHECK(inline_call);
    while (gate.lateness().count() < 51) std::this_thread::yield();
    gate.hold(now + 1'000'000'000'000, [&] { called.fetch_add(1); });
  }
  CHECK(called.load() == 51);
}

TEST(modelled_power_is_in_log_page_25h) {
  TestDevice d(0, 16ull << 20, false, [](DeviceSettings& s) {
    s.model.media = slow_flash();
    s.model.power.idle_w = 2;
    s.model.power.read_w = s.model.power.write_w = 4;
  });
  Host host(attach(d));
  CHECK(host.run(1, block(wire::kOpcodeRead, 0), 0, 4096).status == 0);
  wire::Sqe log{};
  log.opc = wire::kOpcodeAdminGetLogPage;
  log.cdw10 = wire::kLidPowerMeasurement | (4096 / 4 - 1) << 16;
  CHECK(host.run(0, log, 0, 4096).status == 0);
  CHECK(static_cast<uint8_t>(host.data()[2]) == 0b101 && static_cast<uint8_t>(host.data()[1]) == 1);  // enabled, estimated; first measurement
  const auto energy = d.device->gate()->with_model([](const DeviceModel& model) { return model.power().energy(monotonic_ns()); });
  CHECK(energy.active_j > 0.05 && energy.active_j < 0.07);  // 30 ms at 2 W more than idle
}
