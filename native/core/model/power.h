// Energy and power of a modelled device, from rated figures: idle W x time + (active W - idle W) x busy time. Beside it,
// apart and adjustable, estimates of what link, device memory and cores take. Nothing here is measured, and the log page says so.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "core/model/settings.h"

namespace millrace {

class PowerMeter {
 public:
  PowerMeter(const PowerSettings& settings, uint64_t interval_ns = 1'000'000'000) : s_(settings), interval_ns_(interval_ns) {}
  bool on() const { return s_.idle_w > 0 || s_.read_w > 0 || s_.write_w > 0; }
  const PowerSettings& settings() const { return s_; }

  /** Measuring begins with the first call. The device worked from `begin_ns` to `end_ns`; overlaps count once. */
  void busy(uint64_t begin_ns, uint64_t end_ns, bool writes);
  void link_bytes(uint64_t bytes) { link_bytes_ += bytes; }
  void memory_bytes(uint64_t bytes) { memory_bytes_ += bytes; }
  void core_busy(uint64_t ns) { core_ns_ += ns; }
  /** A new measurement: counters of intervals begin again, the generation number rises. */
  void start(uint64_t now_ns);

  struct Energy {
    double seconds = 0;
    double busy_seconds = 0;
    double idle_j = 0;
    double active_j = 0;
    double link_j = 0;
    double memory_j = 0;
    double core_j = 0;
    double device_j() const { return idle_j + active_j; }
  };
  /** What was used up to `now_ns`; busy time that lies beyond it counts with what it has of it. */
  Energy energy(uint64_t now_ns) const;

  /** Average power of whole intervals of `interval_ns`. */
  struct Intervals {
    static constexpr size_t kBins = 128;
    static constexpr uint32_t kBinMw = 250;
    uint64_t count = 0;
    uint64_t overflow = 0;
    double average_w = 0;
    double most_w = 0;
    std::array<uint32_t, kBins> bins{};
  };
  Intervals intervals(uint64_t now_ns);

  /**
   * Log page 25h, Power Measurement, as libnvme lists it (linux-nvme/nvme-cli libnvme/src/nvme/nvme-types-base.h, struct
   * nvme_power_meas_log, e117ee6): fills what fits of `page`, returns the bytes of the whole page. The Estimated Power Flag is set.
   */
  size_t fill_power_log(std::span<std::byte> page, uint64_t now_ns);

 private:
  void close(uint64_t now_ns);

  PowerSettings s_;
  uint64_t interval_ns_;
  bool began_ = false;
  uint64_t begin_ns_ = 0;
  uint64_t measured_from_ns_ = 0;
  uint8_t generation_ = 0;
  uint64_t busy_until_ns_ = 0;
  uint64_t read_ns_ = 0;
  uint64_t write_ns_ = 0;
  uint64_t link_bytes_ = 0;
  uint64_t memory_bytes_ = 0;
  uint64_t core_ns_ = 0;
  std::map<uint64_t, double> active_j_;  // by interval since measured_from_ns_, not closed yet
  uint64_t closed_ = 0;
  double closed_w_sum_ = 0;
  Intervals closed_intervals_;
};

}  // namespace millrace
