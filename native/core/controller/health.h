// What the SMART / Health log counts, since the device's first start: kept in a small file beside the namespace.
#pragma once
#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "core/device/counters.h"
#include "core/model/clock.h"

namespace millrace {

class Health {
 public:
  /** Reads the file, or makes it with a fresh identity; counts a start, and an unsafe end of the last run. Writes it anew every `save_ms`. Throws std::system_error. */
  Health(std::string path, std::string media_directory, const Counters& counters, uint32_t save_ms = 60'000);
  /** Counts an orderly end. */
  ~Health();

  struct Totals {
    uint64_t read_bytes = 0;
    uint64_t written_bytes = 0;
    uint64_t read_commands = 0;
    uint64_t write_commands = 0;
    uint64_t busy_ns = 0;
    uint64_t power_cycles = 0;
    uint64_t power_on_ns = 0;
    uint64_t unsafe_shutdowns = 0;
    uint64_t media_errors = 0;
    uint64_t error_entries = 0;
  };
  Totals totals() const;
  const std::array<uint8_t, 16>& identity() const { return identity_; }
  /** What thinly provisioned blocks have left, in percent: free bytes of the file system over bytes the media may still ask of it. */
  uint8_t spare_percent() const;
  /** Critical warning bits (NVMe base 2.0, figure 207): bit 0 spare below kSpareThresholdPercent, bit 2 the media failed. */
  uint8_t critical_warning() const;
  static constexpr uint8_t kSpareThresholdPercent = 10;
  static constexpr uint8_t kWarningSpare = 1u << 0;
  static constexpr uint8_t kWarningReliability = 1u << 2;

  /** Writes the file: whole, and after a power cut the old one or the new one. Any thread. */
  void save() const { save(false); }
  /** Bytes of media that are promised and not yet backed by the file system. */
  void set_unbacked(std::function<uint64_t()> unbacked_bytes) { unbacked_bytes_ = std::move(unbacked_bytes); }

 private:
  Totals since_start() const;
  void save(bool orderly) const;
  void run(uint32_t save_ms);

  const std::string path_;
  const std::string media_directory_;
  const Counters& counters_;
  const uint64_t started_ns_ = monotonic_ns();
  std::array<uint8_t, 16> identity_{};
  Totals before_;
  std::function<uint64_t()> unbacked_bytes_;
  mutable std::mutex mutex_;  // one writer of the file at a time
  std::mutex ending_mutex_;
  std::condition_variable ending_changed_;
  bool ending_ = false;
  std::thread saver_;  // last: it uses the others. A kill costs what was counted since it wrote last
};

}  // namespace millrace
