// What each command costs on modelled media, in virtual time, on one LUN where every part of it can be told apart.
#include "core/device/model_plan.h"
#include "core/limits.h"
#include "core/model/device_model.h"
#include "test.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint64_t kRead = 30 * kMs;
constexpr uint64_t kFixed = 5 * kMs;  // a write's, until the host sees its completion
constexpr uint64_t kProgram = 40 * kMs;

/** Pages are programmed one by one; the channel takes no time worth speaking of. */
ModelSettings one_lun() {
  FlashSettings s;
  s.channels = s.luns_per_channel = s.page_types = 1;
  s.flash_page_bytes = s.program_bytes = s.channel_chunk_bytes = 4096;
  s.pages_per_block = 64;
  s.read_small_ns = s.read_ns = kRead;
  s.program_ns = kProgram;
  s.channel_bytes_per_second = 1e15;
  s.buffer_bytes = 1 << 20;
  s.write_fixed_ns = kFixed;
  return {s, {}, {}};
}

constexpr uint64_t kCapacity = 64 << 20;

wire::Sqe command(uint8_t opc, uint64_t start, uint32_t cdw12 = 0, uint32_t nsid = wire::kNsidNvm) {
  wire::Sqe sqe{};
  sqe.opc = opc;
  sqe.nsid = nsid;
  sqe.cdw10 = static_cast<uint32_t>(start);
  sqe.cdw12 = cdw12;
  return sqe;
}

/** A device on which time goes as the test says. */
struct Device {
  explicit Device(ModelSettings settings = one_lun()) : model(settings, kCapacity) {}
  DeviceModel model;
  uint64_t now_ns = 1'000 * kMs;
  MediaPlaces places{0, 48 << 20, 16 << 20};
  bool write_cache = true;

  uint64_t took(const ModelPlan& plan) { return model.complete_ns(plan, now_ns) - now_ns; }
  uint64_t took(Command c, const wire::Sqe& sqe) { return took(model_plan(c, sqe, places, write_cache)); }
  /** Everything that goes on is over. */
  void rest() { now_ns += 100'000 * kMs; }
};

bool about(uint64_t ns, uint64_t expected) { return ns >= expected && ns < expected + 1'000; }
constexpr uint32_t kFua = 1u << 30;
constexpr uint32_t kDeac = 1u << 25;

}  // namespace

TEST(model_plan_reads_and_writes_take_what_the_media_takes) {
  Device d;
  CHECK(about(d.took(Command::kRead, command(wire::kOpcodeRead, 7)), kRead));
  d.rest();
  CHECK(about(d.took(Command::kVerify, command(wire::kOpcodeVerify, 7, 1)), 2 * kRead));  // two pages, one LUN
  d.rest();
  CHECK(about(d.took(Command::kWrite, command(wire::kOpcodeWrite, 7)), kFixed));
  CHECK(about(d.took(Command::kFlush, command(wire::kOpcodeFlush, 0)), kFixed + kProgram));
  d.rest();
  CHECK(about(d.took(Command::kWrite, command(wire::kOpcodeWrite, 7, kFua)), kFixed + kProgram));
  d.rest();
  // FUA on a read: what is cached is programmed first.
  CHECK(about(d.took(Command::kWrite, command(wire::kOpcodeWrite, 7)), kFixed));
  CHECK(about(d.took(Command::kRead, command(wire::kOpcodeRead, 7, kFua)), kFixed + kProgram + kRead));
  d.rest();
  // Without a write cache every write waits for its program.
  d.write_cache = false;
  CHECK(about(d.took(Command::kWrite, command(wire::kOpcodeWrite, 7)), kFixed + kProgram));
  d.rest();
  CHECK(about(d.took(Command::kRead, command(wire::kOpcodeRead, 7)), kRead));
}

TEST(model_plan_compare_waits_for_the_link_and_for_the_media) {
  ModelSettings settings = one_lun();
  settings.link = {0, 10 * kMs};
  Device fast(settings);
  CHECK(about(fast.took(Command::kCompare, command(wire::kOpcodeCompare, 7)), kRead));
  settings.link = {0, 50 * kMs};
  Device slow(settings);
  CHECK(about(slow.took(Command::kCompare, command(wire::kOpcodeCompare, 7)), 50 * kMs));
  // A host beside the device has no link.
  Device beside(settings);
  ModelPlan plan = model_plan(Command::kCompare, command(wire::kOpcodeCompare, 7), {}, true);
  for (ModelStep& step : plan) step.command.port = ModelPort::kDevice;
  CHECK(about(beside.took(plan), kRead));
}

TEST(model_plan_zeroes_are_written_or_unmapped) {
  Device d;
  CHECK(about(d.took(Command::kWriteZeroes, command(wire::kOpcodeWriteZeroes, 7)), kFixed));
  CHECK(about(d.took(Command::kFlush, command(wire::kOpcodeFlush, 0)), kFixed + kProgram));
  d.rest();
  CHECK(about(d.took(Command::kWriteZeroes, command(wire::kOpcodeWriteZeroes, 7, kFua)), kFixed + kProgram));
  d.rest();
  // Unmapped: nothing is programmed, and reading it back asks no LUN.
  CHECK(about(d.took(Command::kWriteZeroes, command(wire::kOpcodeWriteZeroes, 7, kDeac | kFua)), kFixed));
  CHECK(about(d.took(Command::kRead, command(wire::kOpcodeRead, 7)), 0));
  CHECK(about(d.took(Command::kRead, command(wire::kOpcodeRead, 8)), kRead));
}

TEST(model_plan_deallocate_unmaps_whole_ranges) {
  Device d;
  const MediaRange ranges[] = {{7 * 4096, 2 * 4096}, {20 * 4096, 4096}};
  // Each range takes the fixed part of a write, beside the other.
  CHECK(about(d.took(plan_deallocate(ranges, false)), kFixed));
  for (const uint64_t block : {7u, 8u, 20u}) CHECK(about(d.took(Command::kRead, command(wire::kOpcodeRead, block)), 0));
  CHECK(about(d.took(Command::kRead, command(wire::kOpcodeRead, 9)), kRead));
  d.rest();
  // Durable: what was written before goes first.
  CHECK(about(d.took(Command::kWrite, command(wire::kOpcodeWrite, 30)), kFixed));
  CHECK(about(d.took(plan_deallocate(ranges, true)), kFixed + kProgram));
}

TEST(model_plan_copy_reads_all_before_it_writes) {
  Device d;
  const MediaRange sources[] = {{7 * 4096, 4096}, {9 * 4096, 4096}};
  CHECK(about(d.took(plan_copy({2, sources}, {100 * 4096, 2 * 4096}, false)), 2 * kRead + kFixed));
  d.rest();
  CHECK(about(d.took(plan_copy({2, sources}, {100 * 4096, 2 * 4096}, true)), 2 * kRead + kFixed + 2 * kProgram));
  d.rest();
  CHECK(about(d.took(plan_memory_copy({2, sources})), 2 * kRead));
  d.rest();
  CHECK(about(d.took(plan_memory_copy({1, {}})), 0));  // from SLM: no media
}

TEST(model_plan_keys_take_the_time_of_their_values) {
  Device d;
  wire::Sqe key{};
  key.nsid = wire::kNsidKv;
  key.cdw2 = 0x64636261;
  key.cdw11 = 4;
  key.cdw10 = 3 * 4096;  // a value of three pages
  CHECK(about(d.took(Command::kKvStore, key), kFixed));
  CHECK(about(d.took(Command::kKvFlush, key), kFixed + 3 * kProgram));
  d.rest();
  CHECK(about(d.took(plan_retrieve(key, d.places, 3 * 4096)), 3 * kRead));
  d.rest();
  CHECK(about(d.took(plan_retrieve(key, d.places, 100)), kRead));
  d.rest();
  CHECK(d.took(Command::kKvExist, key) == 0 && d.took(Command::kKvList, key) == 0);  // the index is in the device's memory
  CHECK(about(d.took(Command::kKvDelete, key), kFixed));
  d.write_cache = false;
  CHECK(about(d.took(Command::kKvStore, key), kFixed + 3 * kProgram));
  // Beside the blocks of namespaces, and the same place for the same key.
  const ModelPlan once = model_plan(Command::kKvStore, key, d.places, true);
  key.cdw11 = 4 | 2 << 8;
  CHECK(once[0].command.offset >= d.places.keys_at && once[0].command.offset < kCapacity && model_plan(Command::kKvStore, key, d.places, true)[0].command.offset == once[0].command.offset);
  key.cdw11 = 3;
  CHECK(model_plan(Command::kKvStore, key, d.places, true)[0].command.offset != once[0].command.offset);
}

TEST(model_plan_memory_commands_cross_the_link_or_reach_the_media) {
  ModelSettings settings = one_lun();
  settings.link = {1'000'000, 0};  // 1 us a byte
  Device d(settings);
  CHECK(about(d.took(Command::kMemoryWrite, command(wire::kOpcodeMemoryWrite, 0, 4096, wire::kNsidSlm)), 4096 * 1000));
  d.rest();
  CHECK(about(d.took(Command::kMemoryRead, command(wire::kOpcodeMemoryRead, 0, 4096, wire::kNsidSlm)), 4096 * 1000));
  CHECK(d.took(Command::kMemoryFill, command(wire::kOpcodeMemoryFill, 0, 4096, wire::kNsidSlm)) == 0);
  wire::Sqe load{};
  load.cdw14 = 1000;
  d.rest();
  CHECK(about(d.took(Command::kLoadProgram, load), 1000 * 1000));
  CHECK(d.took(Command::kIdentify, load) == 0);

  // Namespace 6, the media as memory: lines of 256 B, reads slower than stores; no link.
  MemorySettings memory;
  memory.line_bytes = 256;
  memory.modules = 1;
  memory.load_ns = memory.load_buffered_ns = 300;
  memory.store_nt_ns = 90;
  memory.store_flushed_ns = 60;
  memory.line_read_ns = 40;
  memory.line_write_ns = 115;
  Device pmem({memory, {}, {}});
  CHECK(pmem.took(Command::kMemoryRead, command(wire::kOpcodeMemoryRead, 4096, 256, wire::kNsidPmem)) == 300);
  pmem.rest();
  CHECK(pmem.took(Command::kMemoryRead, command(wire::kOpcodeMemoryRead, 4096, 1024, wire::kNsidPmem)) == 300 + 3 * 40);
  pmem.rest();
  CHECK(pmem.took(Command::kMemoryWrite, command(wire::kOpcodeMemoryWrite, 8192, 256, wire::kNsidPmem)) == 90);
  CHECK(pmem.took(Command::kMemoryFill, command(wire::kOpcodeMemoryFill, 8192, 256, wire::kNsidPmem)) > 90);  // behind that one
  CHECK(pmem.took(Command::kFlush, command(wire::kOpcodeFlush, 0)) == 0);                                     // what is accepted is persistent
}

TEST(model_plan_namespaces_lie_one_behind_the_other) {
  MediaPlaces places;
  places.namespace_at = 16 << 20;
  CHECK(model_plan(Command::kRead, command(wire::kOpcodeRead, 3, 0, wire::kNsidRaw), places, true)[0].command.offset == (16 << 20) + 3 * 4096);
}
