// A modelled device: media, link, power. One place that says when a command is done, for the live device (device/completion_gate.h)
// and for the virtual-time simulator (workload.h) alike. Pure: time is an argument; not for several threads at once.
#pragma once
#include <memory>
#include <span>
#include <variant>

#include "core/model/core.h"
#include "core/model/histogram.h"
#include "core/model/media.h"
#include "core/model/power.h"
#include "core/model/settings.h"

namespace millrace {

using MediaSettings = std::variant<std::monostate, FlashSettings, UnitSettings, MemorySettings>;

struct ModelSettings {
  MediaSettings media;
  LinkSettings link;
  PowerSettings power;
  bool has_media() const { return !std::holds_alternative<std::monostate>(media); }
  bool on() const { return has_media() || link.on(); }
  bool has_power() const { return power.idle_w > 0 || power.read_w > 0 || power.write_w > 0; }
};

class DeviceModel {
 public:
  /** Throws std::invalid_argument. */
  DeviceModel(const ModelSettings& settings, uint64_t capacity_bytes);

  /** The command was fetched at `at_ns`; returns when its completion may be seen. */
  uint64_t complete_ns(const ModelCommand& command, uint64_t at_ns);
  /** The same of a command that is several accesses. */
  uint64_t complete_ns(std::span<const ModelStep> steps, uint64_t at_ns);
  /** Bytes that go to a host and come from no media: frames, answers. */
  uint64_t transfer_ns(uint64_t bytes, uint64_t ready_ns);

  const LinkModel& link() const { return link_.to_host; }
  const Media* media() const { return media_.get(); }
  Media* media() { return media_.get(); }
  PowerMeter& power() { return power_; }
  const PowerMeter& power() const { return power_; }
  /** Modelled latency of commands on media, from fetch to completion. */
  const Histogram& reads() const { return reads_; }
  const Histogram& writes() const { return writes_; }
  const Histogram& flushes() const { return flushes_; }

 private:
  ModelLink link_;
  std::unique_ptr<Media> media_;
  PowerMeter power_;
  Histogram reads_;
  Histogram writes_;
  Histogram flushes_;
};

}  // namespace millrace
