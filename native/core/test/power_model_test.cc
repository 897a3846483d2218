// Energy of a modelled device, and the log page it is reported in.
#include <cmath>
#include <cstring>
#include <vector>

#include "core/model/power.h"
#include "core/model/workload.h"
#include "test.h"

using namespace millrace;
using namespace millrace::test;

namespace {
constexpr uint64_t kSecond = 1'000'000'000;
constexpr PowerSettings rated() {
  PowerSettings s;
  s.idle_w = 5;
  s.read_w = 8;
  s.write_w = 13;
  s.link_pj_per_bit = 5;
  s.memory_pj_per_bit = 20;
  s.core_w = 2;
  return s;
}
bool same(double a, double b) { return std::abs(a - b) < 1e-9; }
template <typename T>
T at(const std::vector<std::byte>& page, size_t offset) {
  T value;
  std::memcpy(&value, page.data() + offset, sizeof value);
  return value;
}
}  // namespace

TEST(power_is_idle_over_time_plus_what_working_adds) {
  PowerMeter meter(rated());
  meter.busy(kSecond, kSecond + kSecond / 2, false);
  meter.busy(kSecond + kSecond / 4, kSecond + kSecond / 2, false);  // overlaps: counts once
  meter.busy(2 * kSecond, 3 * kSecond, true);
  const auto e = meter.energy(5 * kSecond);
  CHECK(same(e.seconds, 4) && same(e.busy_seconds, 1.5) && same(e.idle_j, 20) && same(e.active_j, 0.5 * 3 + 1 * 8));
  CHECK(same(meter.energy(5 * kSecond).device_j(), 20 + 9.5));
  meter.link_bytes(kSecond);
  meter.memory_bytes(kSecond);
  meter.core_busy(kSecond);
  const auto f = meter.energy(5 * kSecond);
  CHECK(same(f.link_j, 0.04) && same(f.memory_j, 0.16) && same(f.core_j, 2) && same(f.device_j(), e.device_j()));
}

TEST(power_of_intervals_adds_up_to_the_energy) {
  Random random(91);
  PowerMeter meter(rated());
  uint64_t t = 7;
  meter.busy(t, t, false);
  for (int i = 0; i < 2000; i++) {
    t += random.below(20'000'000);
    meter.busy(t, t + random.below(30'000'000), random.below(2) == 0);
    if (random.below(50) == 0) meter.intervals(t);
  }
  const uint64_t whole = (t + 2 * kSecond - 7) / kSecond;
  const auto all = meter.intervals(7 + whole * kSecond);
  CHECK(all.count == whole && all.overflow == 0);
  CHECK(std::abs(all.average_w * static_cast<double>(whole) - meter.energy(7 + whole * kSecond).device_j()) < 1e-3);
  CHECK(all.average_w >= 5 && all.most_w <= 13.0001);
  uint64_t binned = 0;
  for (const uint32_t n : all.bins) binned += n;
  CHECK(binned == whole);
}

TEST(power_log_page_is_the_one_nvme_cli_reads) {
  PowerMeter meter(rated());
  meter.start(0);
  meter.busy(0, kSecond, true);               // a second at 13 W
  meter.busy(kSecond, kSecond + kSecond / 2, false);  // one at 6.5 W
  std::vector<std::byte> page(8192, std::byte{0xee});
  const size_t bytes = meter.fill_power_log(page, 4 * kSecond + 1);  // two more at 5 W
  CHECK(bytes == 64 + 128 * 8 && page[bytes] == std::byte{0xee});
  CHECK(at<uint8_t>(page, 0) == 0 && at<uint8_t>(page, 1) == 1);
  CHECK(at<uint16_t>(page, 2) == 0b101);  // enabled, estimated
  CHECK(at<uint32_t>(page, 4) == bytes && at<uint32_t>(page, 8) == 4);
  CHECK(at<uint16_t>(page, 12) == 128 && at<uint16_t>(page, 24) == 8 && at<uint16_t>(page, 26) == 250 && at<uint16_t>(page, 28) == 128);
  CHECK(at<uint32_t>(page, 40) == (2u << 16 | 738) && at<uint32_t>(page, 44) == (2u << 16 | 1300));  // units of 10 mW
  CHECK(at<uint8_t>(page, 56) == 255);
  for (uint32_t bin = 0; bin < 128; bin++) {
    const uint32_t expected = bin == 20 ? 2 : bin == 26 || bin == 52 ? 1 : 0;
    CHECK(at<uint32_t>(page, 64 + bin * 8) == expected);
    CHECK(at<uint32_t>(page, 68 + bin * 8) == (2u << 16 | bin * 25));
  }
  std::vector<std::byte> small(10);
  CHECK(meter.fill_power_log(small, 4 * kSecond + 1) == bytes);
  CHECK(std::memcmp(small.data(), page.data(), small.size()) == 0);
  meter.start(9 * kSecond);
  meter.fill_power_log(page, 9 * kSecond);
  CHECK(at<uint8_t>(page, 1) == 2 && at<uint32_t>(page, 8) == 0);
}

TEST(power_of_a_workload_lies_between_idle_and_active) {
  UnitSettings units;
  units.units = 4;
  units.read_unit_ns = 10'000;
  units.write_unit_ns = 10'000;
  for (const uint32_t depth : {1u, 16u}) {
    Workload w;
    w.read_share = 0.5;
    w.depth = depth;
    w.count = 5'000;
    const auto e = run_workload({units, {}, rated()}, w).energy;
    CHECK(e.device_j() >= 5 * e.seconds && e.device_j() <= 13 * e.seconds);
  }
}
