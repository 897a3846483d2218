#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "test_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr uint32_t kNoProgram = 0xffffffff;
constexpr uint32_t kDevice = wire::kScanFlagDeviceRuns;

void check_sums(const Host::Result& result, const std::vector<uint64_t>& sums) {
  CHECK(result.faults.empty());
  CHECK(result.values.size() == sums.size());
  for (const auto& [morsel, values] : result.values) CHECK(values.size() == 1 && values[0] == sums[morsel]);
}

}  // namespace

TEST(scan_runs_every_morsel_in_slots_resident_and_through_the_window) {
  TestDevice d;
  Host host(attach(d));
  Random random(10);
  const auto sums = host.put_dataset(*d.device, 1, 3, 40, 5000, random);
  host.load(3, 's');
  for (const uint32_t feed : {0u, 0u, static_cast<uint32_t>(wire::kScanFlagFeedWindow)}) {
    const Answer opened = host.open(1, 3, kDevice | feed, 3, 40);
    CHECK(opened.status == 0);
    const auto result = host.drain(opened.dw0);
    check_sums(result, sums);
    CHECK(result.device_ran == 40);
    CHECK(host.scan(wire::kOpcodeScanResult, opened.dw0, 0, 0, 4096).dw1 == 1);  // ended stays ended
    CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
    CHECK(host.scan(wire::kOpcodeScanResult, opened.dw0, 0, 0, 4096).status == wire::kStatusNoSuchScan);
  }
  const auto stats = d.device->slm().resident().stats();
  CHECK(stats.misses == 120 && stats.hits == 120 && d.device->slm().window_loads == 120);
  CHECK(Counters::get(d.device->counters().executes) == 120);
  CHECK(Counters::get(d.device->counters().chunk_bytes) == 0);
}

TEST(scan_gives_each_morsel_once_while_host_claims_and_slots_die) {
  TestDevice d(3);
  Host host(attach(d));
  Random random(11);
  const auto sums = host.put_dataset(*d.device, 1, 1, 300, 600, random);
  host.load(0, 'd');
  for (int round = 0; round < 6; round++) {
    const Answer opened = host.open(1, 0, kDevice | (round % 2 ? wire::kScanFlagFeedWindow : 0u), 1, 300);
    CHECK(opened.status == 0);
    const uint32_t id = opened.dw0;
    std::set<uint32_t> by_host;
    wire::Sqe fetch{};
    fetch.opc = wire::kOpcodeScanResult;
    fetch.nsid = wire::kNsidCompute;
    fetch.cdw10 = id;
    const uint64_t at = 1 << 20;
    uint16_t waiting = host.send(1, fetch, at, 8192);
    Host::Result result;
    bool ended = false;
    bool claimed_all = false;
    while (!ended || !claimed_all) {
      if (!ended && (claimed_all || host.done(waiting))) {
        const Answer answer = host.wait(waiting);
        CHECK(answer.status == 0);
        host.read_frames(id, answer, at, result);
        ended = (answer.dw1 & 1) != 0;
        if (!ended) waiting = host.send(1, fetch, at, 8192);
      }
      if (claimed_all) continue;
      auto run = host.claim(id, 1 + random.below(16));
      claimed_all = run.empty();
      std::vector<uint32_t> back;
      std::vector<uint32_t> finished;
      for (const uint32_t morsel : run) {
        if (random.below(3) == 0) back.push_back(morsel);
        else {
          CHECK(by_host.insert(morsel).second);
          finished.insert(finished.end(), {morsel, 1});
        }
      }
      if (!back.empty()) CHECK(host.words(wire::kOpcodeScanReturn, id, back, static_cast<uint32_t>(back.size())) == 0);
      if (!finished.empty()) CHECK(host.words(wire::kOpcodeScanDone, id, finished, static_cast<uint32_t>(finished.size() / 2)) == 0);
    }
    // Morsels a slot died under twice are faulted; then the scan hands out nothing more. Otherwise each is done once.
    std::set<uint32_t> all = by_host;
    for (const auto& [morsel, values] : result.values) {
      CHECK(values.size() == 1 && values[0] == sums[morsel]);
      CHECK(all.insert(morsel).second);
    }
    for (const auto& [morsel, code] : result.faults) CHECK(code == wire::kGuestFaultSlotKilled && all.insert(morsel).second);
    if (result.faults.empty()) CHECK(all.size() == 300);
    CHECK(host.scan(wire::kOpcodeScanClose, id, 0, 0, 0).status == 0);
  }
  CHECK(PeerSupervisor::replaced > 0);
}

TEST(scan_does_not_blame_a_morsel_for_a_deadline_that_was_not_its_own) {
  TestDevice d(3);
  Host host(attach(d));
  Random random(15);
  const auto sums = host.put_dataset(*d.device, 1, 1, 300, 600, random);
  host.load(0, 'd');
  PeerSupervisor::reason = SlotDownReason::kDeadline;
  const uint32_t before = PeerSupervisor::replaced;
  const Answer opened = host.open(1, 0, kDevice, 1, 300);
  const auto result = host.drain(opened.dw0);
  PeerSupervisor::reason = SlotDownReason::kDied;
  CHECK(PeerSupervisor::replaced > before);
  check_sums(result, sums);
  CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
}

TEST(scan_says_that_memory_ran_out_and_does_not_try_again) {
  TestDevice d(1);
  Host host(attach(d));
  Random random(16);
  host.put_dataset(*d.device, 1, 1, 1, 600, random);
  host.load(0, 'D');
  PeerSupervisor::reason = SlotDownReason::kOutOfMemory;
  const uint32_t before = PeerSupervisor::replaced;
  const Answer opened = host.open(1, 0, kDevice, 1, 1);
  const auto result = host.drain(opened.dw0);
  PeerSupervisor::reason = SlotDownReason::kDied;
  while (PeerSupervisor::replaced == before) std::this_thread::yield();
  CHECK(PeerSupervisor::replaced == before + 1);
  CHECK(result.faults.size() == 1 && result.faults.begin()->second == wire::kGuestFaultMemoryLimit && result.values.empty());
  CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
}

TEST(scan_of_tenants_takes_turns_in_slots_and_memory_of_their_own) {
  TestDevice d(2, 16ull << 20, false, [](DeviceSettings& s) {
    s.tenants_resident_max = 1;
    s.slot_heap_bytes_max = 16 << 20;
  });
  Tenant tenant;
  tenant.caps.heap_bytes = 1 << 20;
  tenant.caps.deadline_ms = 1000;
  for (tenant.id = 1; tenant.id <= 3; tenant.id++) d.device->set_tenant(tenant);
  Random random(15);
  std::vector<std::unique_ptr<Host>> hosts;
  std::vector<std::vector<uint64_t>> sums;
  hosts.push_back(std::make_unique<Host>(attach(d)));
  sums.push_back(hosts[0]->put_dataset(*d.device, 1, 2, 30, 3000, random));
  for (uint32_t t = 1; t <= 3; t++) hosts.push_back(std::make_unique<Host>(attach(d)));
  for (uint32_t t = 0; t <= 3; t++) {
    hosts[t]->tenant = t;
    hosts[t]->load(0, 's');
  }
  for (int round = 0; round < 4; round++) {
    // All at once: three tenants want the one bank, and everybody the two slots.
    std::vector<uint32_t> ids;
    for (const auto& host : hosts) {
      const Answer opened = host->open(1, 0, kDevice | (round % 2 ? wire::kScanFlagFeedWindow : 0u), 2, 30);
      CHECK(opened.status == 0);
      ids.push_back(opened.dw0);
    }
    for (size_t t = 0; t < hosts.size(); t++) {
      const size_t i = (t + static_cast<size_t>(round)) % hosts.size();
      const auto result = hosts[i]->drain(ids[i]);
      check_sums(result, sums[0]);
      CHECK(hosts[i]->scan(wire::kOpcodeScanClose, ids[i], 0, 0, 0).status == 0);
    }
    CHECK(d.device->scans().banks().size() <= 2);
  }
  hosts[0]->tenant = 4;
  CHECK(hosts[0]->open(1, 0, kDevice, 2, 30).status == wire::kStatusInvalidField);
}

TEST(scan_keeps_frames_in_order_over_several_areas_and_small_regions) {
  TestDevice d;
  Host host(attach(d));
  Random random(12);
  host.put_dataset(*d.device, 1, 1, 50, 100, random);
  for (const char act : {'m', 'f'}) {
    host.load(act == 'm' ? 0 : 1, act);
    const Answer opened = host.open(1, act == 'm' ? 0 : 1, kDevice, 1, 50);
    const auto result = host.drain(opened.dw0, 192);  // one frame at a time
    CHECK(result.values.size() == 50 && result.device_ran == 50);
    for (const auto& [morsel, values] : result.values) {
      CHECK(values.size() == (act == 'm' ? 4u : 3u));
      for (uint64_t i = 0; i < values.size(); i++) CHECK(values[i] == i);
    }
    host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0);
  }
}

TEST(scan_says_how_much_room_a_frame_needs) {
  TestDevice d;
  Host host(attach(d));
  Random random(13);
  host.put_dataset(*d.device, 1, 1, 1, 100, random);
  host.load(0, 's');
  const Answer opened = host.open(1, 0, kDevice, 1, 1);
  const Answer small = host.scan(wire::kOpcodeScanResult, opened.dw0, 0, 0, 64);
  CHECK(small.status == wire::kStatusDataTransferError && small.dw0 == 192);
  CHECK(host.drain(opened.dw0).values.size() == 1);
}

TEST(scan_faults_end_the_scan_and_nothing_else) {
  TestDevice d;
  Host host(attach(d));
  Random random(14);
  const auto sums = host.put_dataset(*d.device, 1, 1, 20, 300, random);
  host.load(1, 's');
  const struct {
    char act;
    uint32_t fault;
  } cases[] = {{'F', wire::kGuestFaultTrapDivide},  {'L', wire::kGuestFaultAbiViolation}, {'O', wire::kGuestFaultAbiViolation},   {'B', wire::kGuestFaultAbiViolation},
               {'T', wire::kGuestFaultAbiViolation}, {'D', wire::kGuestFaultSlotKilled},   {'R', wire::kGuestFaultModuleRejected}};
  for (const auto& c : cases) {
    host.load(2, c.act);
    const Answer bad = host.open(1, 2, kDevice, 1, 20);
    const Answer good = host.open(1, 1, kDevice, 1, 20);
    const auto faulted = host.drain(bad.dw0);
    CHECK(!faulted.faults.empty() && faulted.values.empty());
    for (const auto& [morsel, code] : faulted.faults) CHECK(code == c.fault);
    check_sums(host.drain(good.dw0), sums);
    wire::Sqe deactivate{};
    deactivate.opc = wire::kOpcodeAdminActivateProgram;
    deactivate.nsid = wire::kNsidCompute;
    deactivate.cdw10 = 2;
    CHECK(host.run(0, deactivate).status == 0);
    wire::Sqe unload{};
    unload.opc = wire::kOpcodeAdminLoadProgram;
    unload.nsid = wire::kNsidCompute;
    unload.cdw10 = 2 | 1u << 24;
    CHECK(host.run(0, unload).status == 0);
    host.scan(wire::kOpcodeScanClose, bad.dw0, 0, 0, 0);
    host.scan(wire::kOpcodeScanClose, good.dw0, 0, 0, 0);
  }
}

TEST(scan_close_stops_a_kernel_nobody_waits_for) {
  TestDevice d(1);
  Host host(attach(d));
  Random random(15);
  const auto sums = host.put_dataset(*d.device, 1, 1, 4, 300, random);
  host.load(0, 'H');
  host.load(1, 's');
  const Answer stuck = host.open(1, 0, kDevice, 1, 4);
  wire::Sqe fetch{};
  fetch.opc = wire::kOpcodeScanResult;
  fetch.nsid = wire::kNsidCompute;
  fetch.cdw10 = stuck.dw0;
  const uint16_t waiting = host.send(1, fetch, 1 << 20, 4096);
  CHECK(host.scan(wire::kOpcodeScanClose, stuck.dw0, 0, 0, 0).status == 0);
  CHECK(host.wait(waiting).status == wire::kStatusAbortRequested);
  check_sums(host.drain(host.open(1, 1, kDevice, 1, 4).dw0), sums);  // the only slot is free again
}

TEST(scan_takes_the_end_of_a_command_that_waits_for_room_as_what_it_is) {
  TestDevice d(1);
  Host host(attach(d));
  Random random(18);
  const auto sums = host.put_dataset(*d.device, 1, 1, 4, 300, random);
  host.load(0, 'W');
  host.load(1, 's');
  const uint32_t condemned = PeerSupervisor::condemned;
  const Answer opened = host.open(1, 0, kDevice, 1, 1);
  // Nobody fetches: the scan is full, and the slot waits. Then it answers a stop that was under way before it did.
  while (Counters::get(d.device->counters().staged_bytes) < kStagedBytesMax) std::this_thread::yield();
  PeerSupervisor::stop_waiting.store(true);
  while (d.device->queue_depths()[static_cast<size_t>(QueueKind::kSlot)] > 0) std::this_thread::yield();
  PeerSupervisor::stop_waiting.store(false);
  CHECK(PeerSupervisor::condemned == condemned && Counters::get(d.device->counters().guest_faults[wire::kGuestFaultTimeout]) == 1);
  CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
  check_sums(host.drain(host.open(1, 1, kDevice, 1, 4).dw0), sums);
}

TEST(scan_without_device_runs_gives_ascending_runs_and_ends_at_once) {
  TestDevice d(0);
  Host host(attach(d));
  Random random(16);
  host.put_dataset(*d.device, 1, 2, 30, 100, random);
  CHECK(host.open(1, 0, kDevice, 1, 30).status == wire::kStatusInsufficientResources);  // no slots here
  const uint32_t id = host.open(1, kNoProgram, 0, 2, 30, 12).dw0;
  const auto end = host.drain(id);
  CHECK(end.ended && end.device_ran == 0);
  CHECK((host.claim(id, 3) == std::vector<uint32_t>{0, 1, 2}));
  CHECK(host.words(wire::kOpcodeScanDone, id, {1, 6, 2, 6}, 2) == 0);
  CHECK((host.claim(id, 1) == std::vector<uint32_t>{3}));  // 12 rows, but the prefix has a gap
  CHECK(host.words(wire::kOpcodeScanReturn, id, {3}, 1) == 0);
  CHECK((host.claim(id, 1) == std::vector<uint32_t>{3}));  // what came back goes first
  CHECK(host.words(wire::kOpcodeScanDone, id, {0, 0}, 1) == 0);
  CHECK(host.claim(id, 30).empty());  // the prefix 0..2 has 12 rows
  CHECK(d.device->scans().claims_open() == 1);
}

TEST(scan_believes_no_host_about_claims) {
  TestDevice d(0);
  Host host(attach(d));
  Random random(17);
  host.put_dataset(*d.device, 1, 1, 10, 100, random);
  const uint32_t id = host.open(1, kNoProgram, 0, 1, 10).dw0;
  CHECK(host.claim(id, 4).size() == 4);
  CHECK(host.words(wire::kOpcodeScanReturn, id, {4}, 1) == wire::kStatusInvalidField);
  CHECK(host.words(wire::kOpcodeScanReturn, id, {0xffffffff}, 1) == wire::kStatusInvalidField);
  CHECK(host.words(wire::kOpcodeScanDone, id, {0, 1, 9, 1}, 2) == wire::kStatusInvalidField);
  CHECK(host.words(wire::kOpcodeScanReturn, id, {0}, 0xffffffff) == wire::kStatusInvalidField);
  CHECK(host.words(wire::kOpcodeScanReturn, id, {2, 2}, 2) == 0);
  CHECK((host.claim(id, 1) == std::vector<uint32_t>{2}));
  CHECK(host.claim(id, 10).size() == 6);
  CHECK(host.claim(id, 10).empty());
  Host other(attach(d));
  CHECK(other.scan(wire::kOpcodeScanClose, id, 0, 0, 0).status == wire::kStatusNoSuchScan);
}

TEST(scan_finds_damage_when_a_chunk_enters_slm) {
  TestDevice d;
  Host host(attach(d));
  Random random(18);
  const auto sums = host.put_dataset(*d.device, 1, 1, 8, 5000, random);
  host.load(0, 's');
  wire::Sqe write{};
  write.opc = wire::kOpcodeWrite;
  write.nsid = wire::kNsidNvm;
  write.cdw10 = 2 * 5 + 1;  // second block of chunk 5
  std::memset(host.data(), 0x5a, 4096);
  CHECK(host.run(1, write, 0, 4096).status == 0);
  for (const uint32_t feed : {wire::kScanFlagFeedWindow, wire::kScanFlagFeedResident, wire::kScanFlagFeedResident}) {
    const uint32_t id = host.open(1, 0, kDevice | feed, 1, 8).dw0;
    const auto result = host.drain(id);
    CHECK(result.faults.size() == 1 && result.faults.at(5) == wire::kStatusChecksumMismatch);
    for (const auto& [morsel, values] : result.values) CHECK(values[0] == sums[morsel]);
    host.scan(wire::kOpcodeScanClose, id, 0, 0, 0);
  }
}

TEST(scan_tells_of_media_it_cannot_read) {
  TestDevice d;
  Host host(attach(d));
  Host other(attach(d));
  Random random(88);
  host.put_dataset(*d.device, 1, 1, 8, 5000, random);
  host.load(0, 's');
  const auto event = [](Host& h) {
    wire::Sqe sqe{};
    sqe.opc = wire::kOpcodeAdminAsyncEventRequest;
    return h.send(0, sqe);
  };
  const auto log = [](Host& h, uint32_t lid, uint32_t bytes) {
    wire::Sqe sqe{};
    sqe.opc = wire::kOpcodeAdminGetLogPage;
    sqe.cdw10 = lid | (bytes / 4 - 1) << 16;
    CHECK(h.run(0, sqe, 512 << 10, bytes).status == 0);
    return std::vector<std::byte>(h.data(512 << 10), h.data(512 << 10) + bytes);
  };
  const auto failing = [&](uint32_t status, uint32_t errors_before) {
    const uint16_t told = event(host);
    const uint16_t told_too = event(other);
    const uint32_t id = host.open(1, 0, kDevice | wire::kScanFlagFeedWindow, 1, 8).dw0;
    const auto result = host.drain(id);
    CHECK(!result.faults.empty());
    for (const auto& [morsel, code] : result.faults) CHECK(code == status);
    CHECK(host.scan(wire::kOpcodeScanClose, id, 0, 0, 0).status == 0);
    // Everybody who asked is told, once, though each slot may have met it.
    constexpr uint32_t kReliability = 1u | uint32_t{wire::kLidHealth} << 16;
    CHECK(host.wait(told).dw0 == kReliability && other.wait(told_too).dw0 == kReliability);
    const auto health = log(host, wire::kLidHealth, 512);
    log(other, wire::kLidHealth, 512);
    CHECK((static_cast<uint8_t>(health[0]) & Health::kWarningReliability) != 0);
    const auto errors = static_cast<uint8_t>(health[160]);
    CHECK(errors == errors_before + result.faults.size());
    // The entry names the first block of the chunk, and no command: fetching the frames succeeded.
    const auto entries = log(host, wire::kLidError, 64);
    uint16_t queue = 0, cid = 0, status_field = 0;
    uint64_t lba = 0;
    uint32_t nsid = 0;
    std::memcpy(&queue, entries.data() + 8, 2);
    std::memcpy(&cid, entries.data() + 10, 2);
    std::memcpy(&status_field, entries.data() + 12, 2);
    std::memcpy(&lba, entries.data() + 16, 8);
    std::memcpy(&nsid, entries.data() + 24, 4);
    CHECK(queue == 0xffff && cid == 0xffff && status_field >> 1 == status && nsid == wire::kNsidNvm && lba % 2 == 0 && lba < 16);
    const auto others = log(other, wire::kLidError, 64);
    CHECK(std::all_of(others.begin(), others.end(), [](std::byte b) { return b == std::byte{0}; }));
    return errors;
  };
  // A chunk that is not what was written, then media that ends too early.
  wire::Sqe write{};
  write.opc = wire::kOpcodeWrite;
  write.nsid = wire::kNsidNvm;
  write.cdw10 = 2 * 5 + 1;
  std::memset(host.data(), 0x5a, 4096);
  CHECK(host.run(1, write, 0, 4096).status == 0);
  const uint32_t errors = failing(wire::kStatusChecksumMismatch, 0);
  struct stat st {};
  CHECK(::stat(d.backing_file().c_str(), &st) == 0 && ::truncate(d.backing_file().c_str(), 0) == 0);
  failing(wire::kStatusUnrecoveredRead, errors);
  CHECK(::truncate(d.backing_file().c_str(), st.st_size) == 0);
}

TEST(scan_holds_a_lease_until_it_closes) {
  TestDevice d;
  Host host(attach(d));
  Random random(19);
  const auto sums = host.put_dataset(*d.device, 1, 1, 8, 300, random);
  host.load(0, 's');
  const uint32_t id = host.open(1, 0, kDevice, 1, 8).dw0;
  std::atomic<bool> gone{false};
  CHECK(d.device->retire_dataset(1, [&] { gone.store(true); }));
  CHECK(!d.device->retire_dataset(1, [] {}));
  CHECK(host.open(1, 0, kDevice, 1, 8).status == wire::kStatusNoSuchDataset);
  check_sums(host.drain(id), sums);
  CHECK(!gone.load());
  CHECK(host.scan(wire::kOpcodeScanClose, id, 0, 0, 0).status == 0);
  while (!gone.load()) std::this_thread::yield();
  CHECK(d.device->slm().resident().stats().bytes == 0);
}

TEST(scan_lets_slots_wait_when_nobody_fetches) {
  // 400 morsels of one 192-byte frame do not fill 64 MiB; what is tested is that frames are kept and later all there.
  TestDevice d;
  Host host(attach(d));
  Random random(20);
  const auto sums = host.put_dataset(*d.device, 1, 1, 400, 64, random);
  host.load(0, 's');
  const uint32_t id = host.open(1, 0, kDevice, 1, 400).dw0;
  while (Counters::get(d.device->counters().executes) < 400) std::this_thread::yield();
  check_sums(host.drain(id, 1000), sums);
}

TEST(scan_ends_only_when_claims_cannot_come_back) {
  TestDevice d;
  Host host(attach(d));
  Random random(22);
  const auto sums = host.put_dataset(*d.device, 1, 1, 400, 64, random);
  host.load(0, 's');
  const uint32_t id = host.open(1, 0, kDevice, 1, 400).dw0;
  const auto claimed = host.claim(id, 8);
  CHECK(claimed.size() == 8);
  wire::Sqe fetch{};
  fetch.opc = wire::kOpcodeScanResult;
  fetch.nsid = wire::kNsidCompute;
  fetch.cdw10 = id;
  const uint64_t at = 1 << 20;
  Host::Result result;
  while (result.values.size() < 392) {
    const Answer answer = host.wait(host.send(1, fetch, at, 8192));
    CHECK(answer.status == 0 && (answer.dw1 & 1) == 0);
    host.read_frames(id, answer, at, result);
  }
  const uint16_t waiting = host.send(1, fetch, at, 8192);
  CHECK(host.words(wire::kOpcodeScanDone, id, {claimed[0], 1, claimed[1], 1}, 2) == 0);
  CHECK(!host.done(waiting));
  CHECK(host.words(wire::kOpcodeScanReturn, id, {claimed.begin() + 2, claimed.end()}, 6) == 0);
  const Answer answer = host.wait(waiting);
  host.read_frames(id, answer, at, result);
  if ((answer.dw1 & 1) == 0) {
    const auto rest = host.drain(id);
    result.values.insert(rest.values.begin(), rest.values.end());
    CHECK(rest.device_ran == 398);
  }
  CHECK(result.values.size() == 398 && result.faults.empty());
  for (const auto& [morsel, values] : result.values) CHECK(values.size() == 1 && values[0] == sums[morsel]);
}

TEST(scan_descriptors_of_liars_are_refused) {
  TestDevice d;
  Host host(attach(d));
  Random random(21);
  host.put_dataset(*d.device, 1, 2, 4, 100, random);
  host.load(0, 's');
  const uint64_t bytes = sizeof(wire::ScanDescriptor) + 4 * 6;
  auto descriptor = [&](auto change) {
    wire::ScanDescriptor scan{};
    scan.dataset_handle = 1;
    scan.flags = kDevice;
    scan.column_count = 2;
    scan.morsel_count = 4;
    uint32_t words[6] = {0, 1, 0, 1, 2, 3};
    change(scan, words);
    std::memcpy(host.data(), &scan, sizeof scan);
    std::memcpy(host.data(sizeof scan), words, sizeof words);
    wire::Sqe sqe{};
    sqe.opc = wire::kOpcodeScanOpen;
    sqe.nsid = wire::kNsidCompute;
    return host.run(1, sqe, 0, bytes).status;
  };
  using D = wire::ScanDescriptor;
  CHECK(descriptor([](D&, uint32_t*) {}) == 0);
  CHECK(descriptor([](D& s, uint32_t*) { s.dataset_handle = 9; }) == wire::kStatusNoSuchDataset);
  CHECK(descriptor([](D& s, uint32_t*) { s.program_index = 1; }) == wire::kStatusInvalidProgramIndex);
  CHECK(descriptor([](D& s, uint32_t*) { s.program_index = 0xffffffff; }) == wire::kStatusInvalidProgramIndex);
  CHECK(descriptor([](D& s, uint32_t*) { s.column_count = 0xffffffff; }) == wire::kStatusInvalidField);
  CHECK(descriptor([](D& s, uint32_t*) { s.morsel_count = 0xffffffff; }) == wire::kStatusInvalidField);
  CHECK(descriptor([](D& s, uint32_t*) { s.morsel_count = 5; }) == wire::kStatusInvalidField);
  CHECK(descriptor([](D& s, uint32_t*) { s.flags = 0x80; }) == wire::kStatusInvalidField);
  CHECK(descriptor([](D&, uint32_t* w) { w[1] = 2; }) == wire::kStatusInvalidField);
  CHECK(descriptor([](D&, uint32_t* w) { w[5] = 4; }) == wire::kStatusInvalidField);
  CHECK(descriptor([](D&, uint32_t* w) { w[5] = 2; }) == wire::kStatusInvalidField);
  // This association is the daemon's own and may vouch; each of these says something that cannot be.
  CHECK(descriptor([](D& s, uint32_t*) { s.flags |= wire::kScanFlagVouched; }) == 0);
  CHECK(descriptor([](D& s, uint32_t*) { s.user_module_count = 1; }) == wire::kStatusInvalidField);
  CHECK(descriptor([](D& s, uint32_t*) { s.flags |= wire::kScanFlagVouched, s.user_module_count = 1; }) == wire::kStatusInvalidField);
  CHECK(descriptor([](D& s, uint32_t*) { s.flags |= wire::kScanFlagVouched, s.user_module_count = 0xffffffff; }) == wire::kStatusInvalidField);
  CHECK(descriptor([](D& s, uint32_t*) { s.flags |= wire::kScanFlagVouched | wire::kScanFlagStream; }) == wire::kStatusInvalidField);
  CHECK(descriptor([](D& s, uint32_t*) { s.flags = wire::kScanFlagVouched, s.program_index = 0xffffffff; }) == wire::kStatusInvalidField);
}

TEST(scan_of_a_foreign_host_cannot_vouch_for_its_kernel) {
  TestDevice d(2, 16ull << 20, true, [](DeviceSettings& s) { s.slot_heap_bytes_max = 16 << 20; });
  Tenant tenant;
  tenant.id = 1;
  tenant.caps.heap_bytes = 1 << 20;
  tenant.caps.deadline_ms = 1000;
  tenant.kernels.emplace();
  d.device->set_tenant(tenant);
  Host own(attach(d));
  Random random(22);
  own.put_dataset(*d.device, 1, 1, 4, 100, random);
  own.tenant = 1;
  own.load(0, 's');
  CHECK(own.open(1, 0, kDevice, 1, 4).status == wire::kStatusKernelNotAllowed);
  const Answer vouched = own.open(1, 0, kDevice | wire::kScanFlagVouched, 1, 4);
  CHECK(vouched.status == 0 && own.drain(vouched.dw0).values.size() == 4);
  Host guest(ClientLink::connect(d.socket_path(), d.device->grant_attach({.tenant = 1}), 16, 64 << 10));
  guest.load(0, 's');
  CHECK(guest.open(1, 0, kDevice, 1, 4).status == wire::kStatusKernelNotAllowed);
  CHECK(guest.open(1, 0, kDevice | wire::kScanFlagVouched, 1, 4).status == wire::kStatusInvalidField);
  // What ran and what did not: the list was asked about whatever the digest is of.
  uint32_t refused = 0;
  for (const AuditRecord& record : d.device->audit().drain().first) refused += record.refused;
  CHECK(refused == 2);
}
