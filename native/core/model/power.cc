#include "core/model/power.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace millrace {

namespace {
constexpr double kNsPerSecond = 1e9;
constexpr double kJoulePerPjBit = 8e-12;  // per byte
}  // namespace

void PowerMeter::busy(uint64_t begin_ns, uint64_t end_ns, bool writes) {
  if (!began_) {
    began_ = true;
    begin_ns_ = measured_from_ns_ = begin_ns;
  }
  begin_ns = std::max({begin_ns, busy_until_ns_, measured_from_ns_});
  if (end_ns <= begin_ns) return;
  busy_until_ns_ = end_ns;
  (writes ? write_ns_ : read_ns_) += end_ns - begin_ns;
  const double watts = std::max(0.0, (writes ? s_.write_w : s_.read_w) - s_.idle_w);
  if (watts <= 0) return;
  while (begin_ns < end_ns) {
    const uint64_t index = (begin_ns - measured_from_ns_) / interval_ns_;
    const uint64_t until_ns = std::min(end_ns, measured_from_ns_ + (index + 1) * interval_ns_);
    if (index >= closed_) active_j_[index] += watts * static_cast<double>(until_ns - begin_ns) / kNsPerSecond;
    begin_ns = until_ns;
  }
}

void PowerMeter::start(uint64_t now_ns) {
  if (!began_) begin_ns_ = now_ns;
  began_ = true;
  measured_from_ns_ = now_ns;
  generation_++;
  active_j_.clear();
  closed_ = 0;
  closed_w_sum_ = 0;
  closed_intervals_ = {};
}

PowerMeter::Energy PowerMeter::energy(uint64_t now_ns) const {
  Energy e;
  if (!began_ || now_ns <= begin_ns_) return e;
  e.seconds = static_cast<double>(now_ns - begin_ns_) / kNsPerSecond;
  const double ahead_ns = static_cast<double>(busy_until_ns_ - std::min(busy_until_ns_, now_ns));
  const double busy_ns = static_cast<double>(read_ns_ + write_ns_);
  const double share = busy_ns > 0 ? std::max(0.0, 1 - ahead_ns / busy_ns) : 0;
  e.busy_seconds = busy_ns * share / kNsPerSecond;
  e.idle_j = s_.idle_w * e.seconds;
  e.active_j = share * (std::max(0.0, s_.read_w - s_.idle_w) * static_cast<double>(read_ns_) + std::max(0.0, s_.write_w - s_.idle_w) * static_cast<double>(write_ns_)) / kNsPerSecond;
  e.link_j = s_.link_pj_per_bit * kJoulePerPjBit * static_cast<double>(link_bytes_);
  e.memory_j = s_.memory_pj_per_bit * kJoulePerPjBit * static_cast<double>(memory_bytes_);
  e.core_j = s_.core_w * static_cast<double>(core_ns_) / kNsPerSecond;
  return e;
}

void PowerMeter::close(uint64_t now_ns) {
  if (!began_ || now_ns < measured_from_ns_) return;
  const uint64_t whole = (now_ns - measured_from_ns_) / interval_ns_;
  const auto count = [this](double watts, uint64_t times) {
    closed_w_sum_ += watts * static_cast<double>(times);
    closed_intervals_.most_w = std::max(closed_intervals_.most_w, watts);
    const auto bin = static_cast<uint64_t>(watts * 1000 / Intervals::kBinMw);
    if (bin < Intervals::kBins) {
      auto& n = closed_intervals_.bins[bin];
      n = static_cast<uint32_t>(std::min<uint64_t>(n + times, ~0u));
    } else {
      closed_intervals_.overflow += times;
    }
  };
  while (closed_ < whole) {
    const auto next = active_j_.begin();
    const uint64_t idle_until = next == active_j_.end() ? whole : std::min(whole, next->first);
    if (idle_until > closed_) count(s_.idle_w, idle_until - closed_);
    closed_ = std::max(closed_, idle_until);
    if (closed_ == whole || next == active_j_.end()) break;
    count(s_.idle_w + next->second / (static_cast<double>(interval_ns_) / kNsPerSecond), 1);
    active_j_.erase(next);
    closed_++;
  }
  closed_intervals_.count = closed_;
  closed_intervals_.average_w = closed_ == 0 ? 0 : closed_w_sum_ / static_cast<double>(closed_);
}

PowerMeter::Intervals PowerMeter::intervals(uint64_t now_ns) {
  close(now_ns);
  return closed_intervals_;
}

namespace {

struct __attribute__((packed)) LogHeader {
  uint8_t version;
  uint8_t generation;
  uint16_t attributes;
  uint32_t size;
  uint32_t count;
  uint16_t descriptors;
  uint16_t minutes_left;
  uint8_t stop_timestamp[8];
  uint16_t descriptor_bytes;
  uint16_t bin_mw;
  uint16_t descriptors_supported;
  uint16_t vendor_bytes;
  uint32_t overflow_count;
  uint8_t reserved36[4];
  uint32_t average_power;
  uint32_t most_power;
  uint8_t most_timestamp[8];
  uint8_t percent_error;
  uint8_t reserved57[7];
};
static_assert(sizeof(LogHeader) == 64 && offsetof(LogHeader, stop_timestamp) == 16 && offsetof(LogHeader, overflow_count) == 32 && offsetof(LogHeader, average_power) == 40 && offsetof(LogHeader, percent_error) == 56);

struct LogBin {
  uint32_t count;
  uint32_t lower;
};
static_assert(sizeof(LogBin) == 8);

constexpr uint16_t kEnabled = 1u << 0;
constexpr uint16_t kEstimated = 1u << 2;
constexpr uint16_t kOverflowed = 1u << 4;
constexpr uint8_t kErrorNotReported = 255;
/** Power value in units of 10 mW (scale 2). */
uint32_t power_field(double watts) { return 2u << 16 | static_cast<uint32_t>(std::clamp(std::lround(watts * 100), 0l, 65535l)); }

}  // namespace

size_t PowerMeter::fill_power_log(std::span<std::byte> page, uint64_t now_ns) {
  const Intervals all = intervals(now_ns);
  std::array<std::byte, sizeof(LogHeader) + Intervals::kBins * sizeof(LogBin)> whole{};
  LogHeader header{};
  header.generation = generation_;
  header.attributes = static_cast<uint16_t>((began_ ? kEnabled : 0) | kEstimated | (all.overflow > 0 ? kOverflowed : 0));
  header.size = static_cast<uint32_t>(whole.size());
  header.count = static_cast<uint32_t>(std::min<uint64_t>(all.count, ~0u));
  header.descriptors = header.descriptors_supported = Intervals::kBins;
  header.descriptor_bytes = sizeof(LogBin);
  header.bin_mw = Intervals::kBinMw;
  header.overflow_count = static_cast<uint32_t>(std::min<uint64_t>(all.overflow, ~0u));
  header.average_power = power_field(all.average_w);
  header.most_power = power_field(all.most_w);
  header.percent_error = kErrorNotReported;
  std::memcpy(whole.data(), &header, sizeof header);
  for (size_t i = 0; i < Intervals::kBins; i++) {
    const LogBin bin{all.bins[i], power_field(static_cast<double>(i * Intervals::kBinMw) / 1000)};
    std::memcpy(whole.data() + sizeof header + i * sizeof bin, &bin, sizeof bin);
  }
  std::memcpy(page.data(), whole.data(), std::min(page.size(), whole.size()));
  return whole.size();
}

}  // namespace millrace
