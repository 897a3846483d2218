// Byte-addressable media and 3D XPoint drives as models, beside what was published of them (Optane DC 100: NVSL/OptaneStudy).
#include <cmath>

#include "core/model/workload.h"
#include "test.h"

using namespace millrace;
using namespace millrace::test;

namespace {

MemorySettings optane() {
  MemorySettings s;
  s.line_bytes = 256;
  s.modules = 1;
  s.interleave_bytes = 4096;
  s.load_ns = 305;
  s.load_buffered_ns = 124;
  s.store_nt_ns = 90.4;
  s.store_flushed_ns = 62.3;
  s.line_read_ns = 39.2;
  s.line_write_ns = 115.5;
  s.line_write_overhead = 1.02;
  s.ownership_ns = 7.6;
  s.thread_read_bytes_per_second = 2.92e9;
  s.buffer_lines = 72;
  s.buffer_backlog_ns = 2000;
  s.read_threads = 10.1;
  s.read_threads_power = 0.298;
  s.write_threads = 6;
  s.write_threads_power = 0.55;
  s.wear_block_bytes = 65536;
  s.wear_writes = 50'000;
  s.wear_stall_ns = 50'000;
  return s;
}

Workload access(double read_share, uint64_t bytes, WorkloadPattern pattern, uint32_t threads, uint32_t depth, uint64_t count) {
  Workload w;
  w.read_share = read_share;
  w.bytes = bytes;
  w.pattern = pattern;
  w.threads = threads;
  w.depth = depth;
  w.count = count;
  w.port = ModelPort::kDevice;
  return w;
}
bool near(double model, double published) { return std::abs(model / published - 1) <= 0.1; }
constexpr auto kRandom = WorkloadPattern::kRandom;
constexpr auto kSequential = WorkloadPattern::kSequential;

}  // namespace

TEST(memory_model_loads_at_random_cost_more_than_in_order) {
  const ModelSettings m{optane(), {}, {}};
  CHECK(near(run_workload(m, access(1, 64, kSequential, 1, 1, 10'000)).reads.mean_ns(), 169.4));
  CHECK(near(run_workload(m, access(1, 64, kRandom, 1, 1, 10'000)).reads.mean_ns(), 305));
}

TEST(memory_model_small_stores_write_whole_lines) {
  const ModelSettings m{optane(), {}, {}};
  for (const auto& [bytes, ratio, rate] : {std::tuple{64, 0.245, 0.555}, std::tuple{128, 0.488, 1.098}, std::tuple{256, 0.980, 2.207}}) {
    const WorkloadResult r = run_workload(m, access(0, static_cast<uint64_t>(bytes), kRandom, 1, 16, 20'000));
    CHECK(near(1 / r.write_amplification, ratio) && near(r.write_bytes_per_second / 1e9, rate));
  }
  Workload cached = access(0, 4096, kRandom, 1, 16, 20'000);
  cached.store = ModelStore::kCached;
  const WorkloadResult r = run_workload(m, cached);
  CHECK(1 / r.write_amplification >= 0.24 && 1 / r.write_amplification <= 0.28);
  CHECK(r.write_bytes_per_second >= 0.41e9 && r.write_bytes_per_second <= 0.56e9);
}

TEST(memory_model_write_combining_ends_between_18_and_20_kib) {
  const ModelSettings m{optane(), {}, {}};
  double last = 0;
  for (const auto& [kib, amplification] : {std::pair{16, 1.04}, std::pair{18, 1.04}, std::pair{20, 1.36}, std::pair{24, 1.61}, std::pair{32, 1.82}, std::pair{64, 2.04}}) {
    Workload w = access(0, 128, WorkloadPattern::kHalves, 1, 1, 100'000);
    w.span_bytes = static_cast<uint64_t>(kib) * 1024;
    w.warm_up = 50'000;
    const double model = run_workload(m, w).write_amplification;
    CHECK(near(model, amplification) && model >= last - 0.001);
    last = model;
  }
}

TEST(memory_model_writes_fall_when_many_threads_share_a_module) {
  const ModelSettings m{optane(), {}, {}};
  for (const auto& [threads, rate] : {std::pair{1u, 2.22}, std::pair{4u, 2.20}, std::pair{8u, 1.53}, std::pair{16u, 0.94}, std::pair{24u, 0.82}})
    CHECK(near(run_workload(m, access(0, 256, kSequential, threads, 16, 20'000)).write_bytes_per_second / 1e9, rate));
  for (const auto& [threads, rate] : {std::pair{1u, 2.92}, std::pair{2u, 5.66}, std::pair{3u, 6.45}, std::pair{8u, 6.46}, std::pair{16u, 4.73}, std::pair{24u, 3.89}})
    CHECK(near(run_workload(m, access(1, 256, kSequential, threads, 16, 20'000)).read_bytes_per_second / 1e9, rate));
}

TEST(memory_model_six_modules_interleave) {
  MemorySettings s = optane();
  s.modules = 6;
  const ModelSettings m{s, {}, {}};
  CHECK(near(run_workload(m, access(1, 256, kSequential, 24, 16, 60'000)).read_bytes_per_second / 1e9, 37.9));
  CHECK(near(run_workload(m, access(0, 256, kSequential, 12, 16, 60'000)).write_bytes_per_second / 1e9, 12.65));
}

TEST(memory_model_a_hot_spot_is_moved_now_and_then) {
  const ModelSettings m{optane(), {}, {}};
  Workload w = access(0, 64, kRandom, 1, 1, 400'000);
  w.span_bytes = 32 << 10;
  const uint64_t hot = run_workload(m, w).writes.quantile_ns(0.99999);
  CHECK(hot >= 48'000 && hot <= 53'000);
  w.span_bytes = 1 << 20;
  CHECK(run_workload(m, w).writes.max_ns() < 10'000);
}

TEST(memory_model_behind_cxl_carries_36_gb_per_second_at_two_to_one) {
  MemorySettings s;
  s.line_bytes = 64;
  s.modules = 1;
  s.load_ns = s.load_buffered_ns = s.store_nt_ns = s.store_flushed_ns = 250;
  s.line_read_ns = s.line_write_ns = 64 / 36.0;
  s.buffer_backlog_ns = 1000;
  s.link_read_bytes_per_second = s.link_write_bytes_per_second = 31.5e9;
  const ModelSettings m{s, {}, {}};
  const WorkloadResult r = run_workload(m, access(2.0 / 3, 256, kSequential, 16, 32, 50'000));
  CHECK(near((r.read_bytes_per_second + r.write_bytes_per_second) / 1e9, 36));
  const double idle = run_workload(m, access(1, 64, kRandom, 1, 1, 1'000)).reads.mean_ns();
  CHECK(idle >= 140 && idle <= 410);
}

TEST(unit_model_serves_one_page_per_unit_at_a_time) {
  UnitSettings s;
  s.units = 2;
  s.read_fixed_ns = 4000;
  s.read_unit_ns = 3000;
  s.write_fixed_ns = 4000;
  s.write_unit_ns = 4000;
  DeviceModel model({s, {}, {}}, 1 << 20);
  CHECK(model.complete_ns({.op = ModelOp::kRead, .offset = 0, .bytes = 4096}, 0) == 7000);
  CHECK(model.complete_ns({.op = ModelOp::kRead, .offset = 4096, .bytes = 4096}, 0) == 7000);   // the other unit
  CHECK(model.complete_ns({.op = ModelOp::kRead, .offset = 8192, .bytes = 4096}, 0) == 10'000);  // waits for the first
  CHECK(model.complete_ns({.op = ModelOp::kFlush}, 5) == 5);
}
