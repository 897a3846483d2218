// The link between device and hosts as a model: one pipe of a fixed rate that all transfers in a direction share, and a
// latency every transfer sees once. Pure: time comes in as an argument, nothing sleeps here.
#pragma once
#include <cstdint>

#include "core/model/timeline.h"

namespace millrace {

struct LinkSettings {
  /** 0: no limit. */
  uint64_t bytes_per_second = 0;
  uint64_t latency_ns = 0;
  bool on() const { return bytes_per_second > 0 || latency_ns > 0; }
};

class LinkModel {
 public:
  explicit LinkModel(LinkSettings settings) : settings_(settings) {}

  /**
   * A transfer that is ready to go at `ready_ns`; returns when its last byte arrives. Bytes leave no faster than the rate:
   * fractions of a nanosecond are carried on while the pipe stays busy, so that many small transfers take exactly as long
   * as one large one. What is ready earlier than a transfer given out before goes through the gaps before it.
   */
  uint64_t arrival_ns(uint64_t bytes, uint64_t ready_ns) {
    if (ready_ns > timeline_.end_ns()) carry_ = 0;
    uint64_t busy_ns = 0;
    if (settings_.bytes_per_second > 0) {
      const auto work = static_cast<unsigned __int128>(bytes) * 1'000'000'000u + carry_;
      busy_ns = static_cast<uint64_t>(work / settings_.bytes_per_second);
      carry_ = static_cast<uint64_t>(work % settings_.bytes_per_second);
    }
    const uint64_t arrival_ns = timeline_.take(ready_ns, busy_ns) + settings_.latency_ns;
    totals_.transfers++;
    totals_.bytes += bytes;
    totals_.busy_ns += busy_ns;
    totals_.delay_ns += arrival_ns - ready_ns;
    return arrival_ns;
  }
  /** Nothing will be ready before this any more. */
  void forget(uint64_t before_ns) { timeline_.forget(before_ns); }

  struct Totals {
    uint64_t transfers = 0;
    uint64_t bytes = 0;
    /** Time the pipe was busy. */
    uint64_t busy_ns = 0;
    /** From ready to arrived, summed over transfers: waiting for others, own bytes, latency. */
    uint64_t delay_ns = 0;
  };
  const Totals& totals() const { return totals_; }
  const LinkSettings& settings() const { return settings_; }

 private:
  LinkSettings settings_;
  Timeline timeline_;
  uint64_t carry_ = 0;  // of a nanosecond, in units of 1 / rate
  Totals totals_;
};

}  // namespace millrace
