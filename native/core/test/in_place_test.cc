// Media that is memory: slots map the chunks their tenant's scans read, and nothing is copied.
#include <fcntl.h>

#include <future>

#include "core/scan/media_view.h"
#include "test_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr uint32_t kDevice = wire::kScanFlagDeviceRuns;

/** As little modelled time as the settings allow. */
MemorySettings memory() {
  MemorySettings s;
  s.line_bytes = 256;
  s.modules = 1;
  s.load_ns = s.load_buffered_ns = s.store_nt_ns = s.store_flushed_ns = 1;
  s.line_read_ns = s.line_write_ns = 0.001;
  return s;
}

void is_memory(DeviceSettings& s) {
  s.model.media = memory();
  s.slot_heap_bytes_max = 1 << 20;
}

std::shared_ptr<const Dataset> dataset(uint32_t handle, uint32_t columns, const std::vector<std::pair<uint64_t, uint64_t>>& chunks) {
  wire::DatasetHeader header{};
  header.handle = handle;
  header.columns = columns;
  header.row_groups = static_cast<uint32_t>(chunks.size()) / columns;
  std::vector<wire::ChunkRecord> records(chunks.size());
  for (size_t i = 0; i < chunks.size(); i++) {
    records[i].slba = chunks[i].first;
    records[i].used_bytes = chunks[i].second;
  }
  return std::make_shared<const Dataset>(header, std::move(records), "");
}

void check_sums(const Host::Result& result, const std::vector<uint64_t>& sums) {
  CHECK(result.faults.empty());
  CHECK(result.values.size() == sums.size());
  for (const auto& [morsel, values] : result.values) CHECK(values.size() == 1 && values[0] == sums[morsel]);
}

Host::Result scan(Host& host, uint32_t handle, uint32_t program, uint32_t columns, uint32_t row_groups, uint32_t flags = 0) {
  const Answer opened = host.open(handle, program, kDevice | flags, columns, row_groups);
  CHECK(opened.status == 0);
  auto result = host.drain(opened.dw0);
  CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
  return result;
}

struct Fed {
  uint64_t in_place;
  uint64_t read;
  uint64_t windows;
  uint64_t misses;
  static Fed of(const TestDevice& d) {
    const auto& c = d.device->counters();
    return {Counters::get(c.in_place_bytes), Counters::get(c.media_read_bytes), d.device->slm().window_loads.load(), d.device->slm().resident().stats().misses};
  }
  bool copied_since(const Fed& before) const { return read != before.read || windows != before.windows || misses != before.misses; }
};

}  // namespace

TEST(in_place_view_has_whole_chunks_in_one_piece) {
  // Column 0: blocks 10 and 11..12; column 1: 13 and 100. An empty chunk takes no place.
  const auto a = dataset(1, 2, {{10, 4096}, {11, 5000}, {13, 1}, {100, 4096}});
  const auto b = dataset(2, 1, {{100, 4096}, {0, 0}, {50, 8192}});
  auto view = MediaView::make({{a, {}, {}}, {b, {}, {}}}, 7, 1 << 20);
  CHECK(view && view->bytes() == 7 * 4096 && view->extents().size() == 3 && view->media_fd() == 7);
  CHECK(*view->find(10, 1) == 0 && *view->find(11, 2) == 4096 && *view->find(13, 1) == 3 * 4096);
  CHECK(*view->find(50, 2) == 4 * 4096 && *view->find(100, 1) == 6 * 4096);
  for (const uint64_t block : {0u, 9u, 14u, 49u, 52u, 99u, 101u}) CHECK(!view->find(block, 1));
  CHECK(!view->find(13, 2) && !view->find(9, 2) && !view->find(51, 2) && !view->find(100, ~0ull / 4096));
  CHECK(view->holds(1) && view->holds(2) && !view->holds(3));
  // What one dataset shares with another stays.
  view = view->without(1);
  CHECK(view && view->bytes() == 3 * 4096 && view->find(100, 1) && !view->find(10, 1) && !view->holds(1));
  CHECK(!view->without(2));
  CHECK(!MediaView::make({{a, {}, {}}}, 7, 5 * 4096 - 1) && MediaView::make({{a, {}, {}}}, 7, 5 * 4096));
  const auto part = MediaView::make({{a, {1}, {0}}}, 7, 4096);
  CHECK(part && part->find(13, 1) && !part->find(10, 1));
}

TEST(in_place_scans_copy_nothing) {
  TestDevice d(2, 16ull << 20, false, is_memory);
  Host host(attach(d));
  Random random(80);
  const auto sums = host.put_dataset(*d.device, 1, 3, 40, 5000, random);
  host.load(0, 's');
  const Fed before = Fed::of(d);
  uint64_t scans = 0;
  // Whatever a scan wishes for its feed: there is none.
  for (const uint32_t flags : {0u, uint32_t{wire::kScanFlagFeedWindow}, uint32_t{wire::kScanFlagFeedResident}}) {
    check_sums(scan(host, 1, 0, 3, 40, flags), sums);
    const Fed after = Fed::of(d);
    CHECK(!after.copied_since(before) && after.in_place == before.in_place + ++scans * 3 * 40 * 8192);
  }
  // A second dataset joins the first in the view; of the media nothing else is there to be found.
  const auto more = host.put_dataset(*d.device, 2, 1, 10, 9000, random);
  check_sums(scan(host, 2, 0, 1, 10), more);
  check_sums(scan(host, 1, 0, 3, 40), sums);
  CHECK(!Fed::of(d).copied_since(before));
}

TEST(in_place_chunk_is_verified_before_its_first_use) {
  TestDevice d(1, 16ull << 20, false, is_memory);
  Host host(attach(d));
  Random random(81);
  const auto sums = host.put_dataset(*d.device, 1, 1, 4, 500'000, random);  // a checksum of several pieces
  host.load(0, 's');
  const UniqueFd file(::open(d.backing_file().c_str(), O_RDWR | O_CLOEXEC));
  std::byte was{};
  // Row group 3 begins behind three chunks of 123 blocks; a byte near its end.
  const off_t at = (3 * 123 + 121) * 4096 + 7;
  CHECK(::pread(file.get(), &was, 1, at) == 1);
  const std::byte wrong = ~was;
  CHECK(::pwrite(file.get(), &wrong, 1, at) == 1);
  const auto damaged = scan(host, 1, 0, 1, 4);
  CHECK(damaged.faults.size() == 1 && damaged.faults.at(3) == wire::kStatusChecksumMismatch);
  CHECK(::pwrite(file.get(), &was, 1, at) == 1);
  check_sums(scan(host, 1, 0, 1, 4), sums);
}

TEST(in_place_retired_dataset_is_let_go_by_idle_slots) {
  TestDevice d(3, 16ull << 20, false, is_memory);
  Host host(attach(d));
  Random random(82);
  const auto first = host.put_dataset(*d.device, 1, 2, 20, 3000, random);
  const auto second = host.put_dataset(*d.device, 2, 2, 20, 3000, random);
  host.load(0, 's');
  check_sums(scan(host, 1, 0, 2, 20), first);
  check_sums(scan(host, 2, 0, 2, 20), second);
  std::promise<void> gone;
  CHECK(d.device->retire_dataset(1, [&] { gone.set_value(); }));
  gone.get_future().get();
  const Fed before = Fed::of(d);
  check_sums(scan(host, 2, 0, 2, 20), second);
  CHECK(!Fed::of(d).copied_since(before));
  CHECK(host.open(1, 0, kDevice, 2, 20).status == wire::kStatusNoSuchDataset);
  // The last one: no view is left at all.
  std::promise<void> all_gone;
  CHECK(d.device->retire_dataset(2, [&] { all_gone.set_value(); }));
  all_gone.get_future().get();
}

TEST(in_place_retired_dataset_is_read_to_the_end_by_scans_that_began) {
  TestDevice d(2, 16ull << 20, false, is_memory);
  Host host(attach(d));
  Random random(83);
  const auto sums = host.put_dataset(*d.device, 1, 1, 60, 3000, random);
  host.load(0, 'd');  // slots die under it, and their places are taken by processes without the view
  const Answer opened = host.open(1, 0, kDevice, 1, 60);
  std::promise<void> gone;
  std::atomic<bool> told{false};
  CHECK(d.device->retire_dataset(1, [&] {
    told.store(true);
    gone.set_value();
  }));
  const auto result = host.drain(opened.dw0);
  for (const auto& [morsel, values] : result.values) CHECK(values.size() == 1 && values[0] == sums[morsel]);
  for (const auto& [morsel, code] : result.faults) CHECK(code == wire::kGuestFaultSlotKilled);
  CHECK(!told.load());
  CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
  gone.get_future().get();
}

TEST(in_place_needs_room_in_a_kernels_address_space) {
  // Beside heap, SLM and what hosts give an Execute (a quarter of it) 21 MiB are left below 1 GiB: for two of three columns of 10 MiB.
  TestDevice d(1, 16ull << 20, false, [](DeviceSettings& s) {
    is_memory(s);
    s.slot_heap_bytes_max = 2 * ((1024ull - 16 - 4 - 21) << 20);
  });
  Host host(attach(d));
  Random random(84);
  const auto narrow = host.put_dataset(*d.device, 1, 3, 10, 1 << 20, random);
  host.load(0, 's');
  Fed before = Fed::of(d);
  scan(host, 1, 0, 2, 10);
  CHECK(!Fed::of(d).copied_since(before) && Fed::of(d).in_place > before.in_place);
  // All three do not fit: what is there already is used, the rest is read into SLM, and the counters say so.
  before = Fed::of(d);
  check_sums(scan(host, 1, 0, 3, 10), narrow);
  CHECK(Fed::of(d).in_place - before.in_place == 20 << 20 && Fed::of(d).read - before.read == 10 << 20);
}

TEST(in_place_tenants_have_views_of_their_own) {
  TestDevice d(2, 16ull << 20, false, [](DeviceSettings& s) {
    is_memory(s);
    s.tenants_resident_max = 1;
  });
  Tenant tenant;
  tenant.caps.heap_bytes = 1 << 20;
  tenant.caps.deadline_ms = 1000;
  for (tenant.id = 1; tenant.id <= 2; tenant.id++) d.device->set_tenant(tenant);
  Random random(85);
  Host writer(attach(d));
  std::vector<std::unique_ptr<Host>> hosts;
  std::vector<std::vector<uint64_t>> sums;
  for (uint32_t t = 0; t <= 2; t++) {
    sums.push_back(writer.put_dataset(*d.device, t + 1, 2, 30, 3000, random));
    hosts.push_back(std::make_unique<Host>(attach(d)));
    hosts[t]->tenant = t;
    hosts[t]->load(0, 's');
  }
  const uint64_t read = Counters::get(d.device->counters().media_read_bytes);
  for (int round = 0; round < 3; round++) {
    std::vector<uint32_t> ids;
    for (uint32_t t = 0; t <= 2; t++) ids.push_back(hosts[t]->open(t + 1, 0, kDevice, 2, 30).dw0);
    for (uint32_t t = 0; t <= 2; t++) {
      check_sums(hosts[t]->drain(ids[t]), sums[t]);
      CHECK(hosts[t]->scan(wire::kOpcodeScanClose, ids[t], 0, 0, 0).status == 0);
    }
  }
  CHECK(Counters::get(d.device->counters().media_read_bytes) == read);
}

namespace {
wire::Sqe memory_command(uint8_t opc, uint64_t start, uint32_t length, uint32_t nsid = wire::kNsidPmem) {
  wire::Sqe sqe{};
  sqe.opc = opc;
  sqe.nsid = nsid;
  sqe.cdw10 = static_cast<uint32_t>(start);
  sqe.cdw11 = static_cast<uint32_t>(start >> 32);
  sqe.cdw12 = length;
  return sqe;
}
}  // namespace

TEST(in_place_media_is_a_memory_namespace_of_bytes) {
  TestDevice d(1, 16ull << 20, true, is_memory);
  Host host(attach(d));
  Random random(87);
  const auto sums = host.put_dataset(*d.device, 1, 1, 2, 4096, random);
  CHECK(d.device->subsystem().find(wire::kNsidPmem)->bytes == 64 << 20);
  // Bytes of block 0, by dwords; the same a Read gives.
  uint64_t sum = 0;
  for (uint32_t at = 0; at < 4096; at += 256) {
    CHECK(host.run(1, memory_command(wire::kOpcodeMemoryRead, at, 256), 0, 256).status == 0);
    for (int i = 0; i < 256; i++) sum += static_cast<uint64_t>(host.data()[i]);
  }
  CHECK(sum == sums[0]);
  // Written across a block's end by who may write, read as blocks.
  std::memset(host.data(), 0x5a, 8);
  CHECK(host.run(1, memory_command(wire::kOpcodeMemoryWrite, 101 * 4096 - 4, 8), 0, 8).status == 0);
  CHECK(host.run(1, memory_command(wire::kOpcodeMemoryFill, 100 * 4096, 4), 0, 0).status == 0);
  wire::Sqe read{};
  read.opc = wire::kOpcodeRead;
  read.nsid = wire::kNsidNvm;
  read.cdw10 = 100;
  read.cdw12 = 1;
  CHECK(host.run(1, read, 0, 8192).status == 0);
  CHECK(host.data()[0] == std::byte{0} && host.data()[4091] == std::byte{0} && host.data()[4092] == std::byte{0x5a} && host.data()[4099] == std::byte{0x5a} && host.data()[4100] == std::byte{0});
  // Copied into the host's own SLM and back, somewhere else.
  struct {
    uint32_t nsid;
    uint32_t length;
    uint64_t start;
    uint8_t reserved[16];
  } source{wire::kNsidPmem, 8, 101 * 4096 - 4, {}};
  wire::Sqe copy = memory_command(wire::kOpcodeMemoryCopy, 64, 4 << 8, wire::kNsidSlm);
  copy.cdw2 = 8;
  std::memcpy(host.data(), &source, sizeof source);
  CHECK(host.run(1, copy, 0, sizeof source).status == 0);
  source = {wire::kNsidSlm, 8, 64, {}};
  copy.nsid = wire::kNsidPmem;
  copy.cdw10 = 500 * 4096;
  std::memcpy(host.data(), &source, sizeof source);
  CHECK(host.run(1, copy, 0, sizeof source).status == 0);
  CHECK(host.run(1, memory_command(wire::kOpcodeMemoryRead, 500 * 4096, 8), 0, 8).status == 0);
  CHECK(host.data()[0] == std::byte{0x5a} && host.data()[7] == std::byte{0x5a});
  // With the write cache off it completes when it is on the media.
  wire::Sqe feature{};
  feature.opc = wire::kOpcodeAdminSetFeatures;
  feature.cdw10 = wire::kFidVolatileWriteCache;
  CHECK(host.run(0, feature).status == 0);
  CHECK(host.run(1, memory_command(wire::kOpcodeMemoryWrite, 600 * 4096, 8), 0, 8).status == 0);
  // Bounds and grain are those of memory; a host without a ticket reads.
  CHECK(host.run(1, memory_command(wire::kOpcodeMemoryRead, 64 << 20, 4), 0, 4).status == wire::kStatusLbaOutOfRange);
  CHECK(host.run(1, memory_command(wire::kOpcodeMemoryRead, ~0ull - 3, 4), 0, 4).status == wire::kStatusLbaOutOfRange);
  CHECK(host.run(1, memory_command(wire::kOpcodeMemoryRead, 2, 4), 0, 4).status == wire::kStatusInvalidField);
  CHECK(host.run(1, memory_command(wire::kOpcodeMemoryWrite, 0, 4 << 20), 0, 4).status == wire::kStatusInvalidField);
  Host other(ClientLink::connect(d.socket_path(), "", 64, 1 << 20));
  CHECK(other.run(1, memory_command(wire::kOpcodeMemoryRead, 500 * 4096, 8), 0, 8).status == 0 && other.data()[7] == std::byte{0x5a});
  for (const uint8_t opc : {uint8_t{wire::kOpcodeMemoryWrite}, uint8_t{wire::kOpcodeMemoryFill}})
    CHECK(other.run(1, memory_command(opc, 500 * 4096, 8), 0, 8).status == wire::kStatusNamespaceWriteProtected);
}

TEST(media_that_is_no_memory_is_not_mapped) {
  TestDevice d(1);
  Host host(attach(d));
  Random random(86);
  const auto sums = host.put_dataset(*d.device, 1, 1, 4, 3000, random);
  host.load(0, 's');
  check_sums(scan(host, 1, 0, 1, 4), sums);
  CHECK(Counters::get(d.device->counters().in_place_bytes) == 0 && Counters::get(d.device->counters().media_read_bytes) == 4 * 4096);
  CHECK(!d.device->subsystem().find(wire::kNsidPmem) && host.run(1, memory_command(wire::kOpcodeMemoryRead, 0, 4), 0, 4).status == wire::kStatusInvalidNamespace);
}
