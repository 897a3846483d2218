// NAND flash as a model: the figures of NVMeVirt's constants, bounds that hold for any load, replay. Virtual time throughout.
#include <cmath>

#include "core/model/flash.h"
#include "core/model/workload.h"
#include "test.h"

using namespace millrace;
using namespace millrace::test;

namespace {

/** Samsung 970 Pro 512 GB, NVMeVirt ssd_config.h. */
FlashSettings ssd() {
  FlashSettings s;
  s.channels = 8;
  s.luns_per_channel = 2;
  s.flash_page_bytes = s.program_bytes = 32768;
  s.pages_per_block = 512;
  s.page_types = 2;
  s.read_small_ns = 35'760;
  s.read_ns = 36'013;
  s.read_spread_ns = 6'000;
  s.program_ns = 185'000;
  s.erase_ns = 3'500'000;
  s.channel_bytes_per_second = 128 / 152e-9;
  s.channel_chunk_bytes = 16384;
  s.firmware_small_bytes = 16384;
  s.firmware_small_ns = 21'500;
  s.firmware_ns = 30'490;
  s.write_fixed_ns = 4'000;
  s.write_per_page_ns = 460;
  s.buffer_bytes = 1 << 20;
  s.over_provision = 0.07;
  return s;
}
constexpr uint64_t kPcie = 3'555'555'556;
constexpr uint64_t kGib = 1ull << 30;

ModelSettings model(const FlashSettings& flash) { return {flash, {kPcie, 0}, {}}; }
bool near(double model, double published, double share) { return std::abs(model / published - 1) <= share; }

}  // namespace

TEST(flash_model_one_read_takes_firmware_sense_channel_and_link) {
  ModelLink link({kPcie, 0});
  FlashMedia media(ssd(), kGib);
  // Page 0 is an LSB page: 21.5 + 29.76 + 32 x 0.152 + 32 x 0.036 us.
  CHECK(std::abs(static_cast<double>(media.run({.op = ModelOp::kRead, .offset = 0, .bytes = 4096}, 0, link).done_ns) - 57'276) <= 2);
  // The next command on the same LUN, at the same time, waits until the channel has the first one's data.
  CHECK(std::abs(static_cast<double>(media.run({.op = ModelOp::kRead, .offset = 4096, .bytes = 4096}, 0, link).done_ns) - (57'276 + 29'760 + 4'864)) <= 4);
  // The second flash page of a LUN's block is an MSB page (16 LUNs x 32 KiB further on).
  CHECK(std::abs(static_cast<double>(media.run({.op = ModelOp::kRead, .offset = 16 * 32768, .bytes = 4096}, 1'000'000, link).done_ns) - 1'069'276) <= 2);
}

TEST(flash_model_queue_depth_curve) {
  const struct {
    uint32_t depth;
    double kiops;
    double us;
  } published[] = {{1, 15.8, 63}, {4, 61, 66}, {8, 114, 70}, {16, 196, 82}, {32, 284, 113}, {64, 342, 187}, {128, 369, 347}, {256, 381, 672}};
  double last = 0;
  for (const auto& p : published) {
    Workload w;
    w.depth = p.depth;
    w.count = 20'000;
    w.warm_up = 2'000;
    w.capacity_bytes = 16 * kGib;
    const WorkloadResult r = run_workload(model(ssd()), w);
    CHECK(near(r.commands_per_second / 1e3, p.kiops, 0.02));
    CHECK(near(r.reads.mean_ns() / 1e3, p.us, 0.02));
    CHECK(r.commands_per_second > last);             // deeper is faster
    CHECK(r.commands_per_second < 394'000);          // 16 LUNs / (35.76 + 4.86 us)
    CHECK(r.reads.quantile_ns(0.0) >= 57'000 * 97 / 100);  // never faster than the parts of one read (buckets are 3 % wide)
    last = r.commands_per_second;
  }
}

TEST(flash_model_bandwidth_is_the_links_or_the_programs) {
  Workload w;
  w.pattern = WorkloadPattern::kSequential;
  w.bytes = 131072;
  w.depth = 32;
  w.count = 8'000;
  w.warm_up = 1'000;
  w.capacity_bytes = 16 * kGib;
  CHECK(near(run_workload(model(ssd()), w).read_bytes_per_second, 3.5e9, 0.1));
  w.read_share = 0;
  CHECK(near(run_workload(model(ssd()), w).write_bytes_per_second, 2.34e9, 0.1));
  FlashSettings eager = ssd();
  eager.erase_ns = 0;
  const double rate = run_workload(model(eager), w).write_bytes_per_second;
  CHECK(near(rate, 16 * 32768 / 223.9e-6, 0.01));
}

TEST(flash_model_acknowledges_writes_from_the_buffer_while_it_has_room) {
  ModelLink link({kPcie, 0});
  FlashMedia media(ssd(), kGib);
  uint64_t at = 0;
  for (int i = 0; i < 100; i++) {
    const uint64_t done = media.run({.op = ModelOp::kWrite, .offset = static_cast<uint64_t>(i) * 4096, .bytes = 4096}, at, link).done_ns;
    CHECK(done - at >= 5'610 && done - at <= 5'614);  // 4.0 + 0.46 + 1.152 us
    at = done + 10'000;
  }
  // Without a pause the buffer fills, and writes take what programs take.
  Workload w;
  w.read_share = 0;
  w.bytes = 32768;
  w.depth = 64;
  w.count = 4'000;
  const WorkloadResult r = run_workload(model(ssd()), w);
  CHECK(r.writes.max_ns() > 200'000 && r.write_bytes_per_second < 2.35e9);
}

TEST(flash_model_flush_and_fua_wait_for_the_program) {
  ModelLink link({kPcie, 0});
  FlashMedia media(ssd(), kGib);
  CHECK(media.run({.op = ModelOp::kFlush}, 5, link).done_ns == 5);  // nothing was written
  const ModelAnswer written = media.run({.op = ModelOp::kWrite, .offset = 0, .bytes = 4096}, 0, link);
  const ModelAnswer flushed = media.run({.op = ModelOp::kFlush}, written.done_ns, link);
  CHECK(flushed.done_ns >= written.done_ns + 185'000 && media.ftl().padded_pages() == 7);
  CHECK(media.run({.op = ModelOp::kFlush}, flushed.done_ns, link).done_ns == flushed.done_ns);
  const ModelAnswer forced = media.run({.op = ModelOp::kWrite, .offset = 0, .bytes = 4096, .fua = true}, 10'000'000, link);
  CHECK(forced.done_ns >= 10'185'000);
}

TEST(flash_model_reads_nothing_of_what_was_deallocated) {
  ModelLink link({kPcie, 0});
  FlashMedia media(ssd(), kGib);
  media.run({.op = ModelOp::kDeallocate, .offset = 8192, .bytes = 8192 + 100}, 0, link);
  CHECK(media.run({.op = ModelOp::kRead, .offset = 8192, .bytes = 4096}, 0, link).done_ns < 23'000);       // firmware and link alone
  CHECK(media.run({.op = ModelOp::kRead, .offset = 16384, .bytes = 4096}, 0, link).done_ns > 50'000);      // of which only a part was named
  media.run({.op = ModelOp::kWrite, .offset = 8192, .bytes = 4096}, 1'000'000, link);
  CHECK(media.run({.op = ModelOp::kRead, .offset = 8192, .bytes = 4096}, 9'000'000, link).done_ns > 9'050'000);
}

TEST(flash_model_reads_pass_programs_where_they_step_aside) {
  for (const double suspend_ns : {0.0, 20'000.0}) {
    FlashSettings s = ssd();
    s.suspend_ns = suspend_ns;
    ModelLink link({kPcie, 0});
    FlashMedia media(s, kGib);
    media.run({.op = ModelOp::kWrite, .offset = 0, .bytes = 32768}, 0, link);  // one unit, on one LUN
    const uint64_t written = media.run({.op = ModelOp::kFlush}, 0, link).done_ns;
    uint64_t slowest = 0;
    for (uint64_t lun = 0; lun < 16; lun++) slowest = std::max(slowest, media.run({.op = ModelOp::kRead, .offset = (16 + lun) * 32768, .bytes = 4096}, 20'000, link).done_ns);
    if (suspend_ns > 0) CHECK(slowest < 150'000);
    else CHECK(slowest > written);
  }
}

TEST(flash_model_greedy_collection_amplifies_as_the_formula_says) {
  const struct {
    double over_provision;
    double amplification;
  } published[] = {{0.15, 4.02}, {0.20, 3.19}, {0.28, 2.48}, {0.30, 2.35}, {0.50, 1.72}, {1.0, 1.26}};
  for (const auto& p : published) {
    FtlGeometry g;
    g.luns = 4;
    g.unit_pages = 8;
    g.block_units = 4;
    g.logical_pages = 1u << 17;
    g.over_provision = p.over_provision;
    Ftl ftl(g);
    Random random(81);
    const auto write = [&](uint64_t count) {
      for (uint64_t i = 0; i < count; i++) {
        ftl.write(random.below(1u << 17));
        while (ftl.collect()) continue;
      }
    };
    write(5ull << 17);
    ftl.reset_counts();
    write(1ull << 17);
    CHECK(near(ftl.write_amplification(), p.amplification, 0.05));
  }
}

TEST(ftl_keeps_every_page_in_exactly_one_place) {
  Random random(82);
  for (int round = 0; round < 8; round++) {
    FtlGeometry g;
    g.luns = 1 + random.below(6);
    g.unit_pages = 1u << random.below(4);
    g.block_units = 1 + random.below(5);
    g.logical_pages = g.line_pages() * (8 + random.below(20)) + random.below(7);
    g.over_provision = 0.05 + random.below(50) / 100.0;
    Ftl ftl(g);
    for (int step = 0; step < 20'000; step++) {
      const uint64_t page = random.below(static_cast<uint32_t>(g.logical_pages));
      if (random.below(20) == 0) ftl.deallocate(page);
      else ftl.write(page);
      if (random.below(100) == 0) ftl.pad();
      while (const auto move = ftl.collect()) CHECK(ftl.find(move->page) == move->to);
    }
    std::vector<bool> taken(ftl.lines() * g.line_pages(), false);
    for (uint64_t page = 0; page < g.logical_pages; page++) {
      const auto at = ftl.find(page);
      if (!at) continue;
      CHECK(*at < taken.size() && !taken[*at]);
      taken[*at] = true;
    }
  }
}

TEST(flash_model_replays_from_its_seed_and_only_from_it) {
  Workload w;
  w.read_share = 0.7;
  w.depth = 32;
  w.count = 20'000;
  w.capacity_bytes = kGib / 4;
  w.precondition = 1;
  w.seed = seed();
  const WorkloadResult a = run_workload(model(ssd()), w);
  const WorkloadResult b = run_workload(model(ssd()), w);
  CHECK(a.digest == b.digest && a.virtual_ns == b.virtual_ns && a.reads.max_ns() == b.reads.max_ns());
  w.seed++;
  CHECK(run_workload(model(ssd()), w).digest != a.digest);
}

TEST(flash_model_completes_no_command_before_it_began_and_moves_no_bytes_faster_than_the_link) {
  Random random(83);
  for (int round = 0; round < 20; round++) {
    FlashSettings s = ssd();
    s.channels = 1 + random.below(16);
    s.luns_per_channel = 1 + random.below(8);
    s.page_types = 1 + random.below(3);
    s.program_bytes = s.flash_page_bytes * (1 + random.below(3));
    s.buffer_bytes = s.program_bytes * (2 + random.below(8));
    s.over_provision = 0.05 + random.below(60) / 100.0;
    s.suspend_ns = random.below(2) * 10'000.0;
    Workload w;
    w.read_share = random.below(11) / 10.0;
    w.bytes = 4096u << random.below(6);
    w.pattern = random.below(2) ? WorkloadPattern::kRandom : WorkloadPattern::kSequential;
    w.depth = 1 + random.below(64);
    w.count = 2'000;
    w.capacity_bytes = 256ull << 20;
    w.seed = 1 + round;
    const WorkloadResult r = run_workload(model(s), w);
    CHECK(r.reads.count() + r.writes.count() == w.count);
    CHECK(r.read_bytes_per_second <= 1.02 * kPcie && r.write_bytes_per_second <= 1.02 * kPcie);
    CHECK(r.reads.count() == 0 || r.reads.quantile_ns(0) >= 21'000);
    CHECK(r.writes.count() == 0 || r.writes.quantile_ns(0) >= 4'300);
    CHECK(r.write_amplification >= 1);
  }
}
