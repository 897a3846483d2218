// Units striped by 4 KiB, each serving one page at a time, without mapping, erase or write buffer: 3D XPoint drives. The shape
// of NVMeVirt's `nvm` model, whose published defaults are placeholders; the numbers here are fitted to published points.
#pragma once
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "core/model/media.h"
#include "core/model/settings.h"

namespace millrace {

class UnitMedia final : public Media {
 public:
  /** Throws std::invalid_argument. */
  explicit UnitMedia(const UnitSettings& settings) : s_(settings), units_(settings.units >= 1 && settings.units <= 1024 ? static_cast<size_t>(settings.units) : 0) {
    if (units_.empty() || !(s_.read_unit_ns > 0 && s_.write_unit_ns > 0)) throw std::invalid_argument("media: units must be from 1 to 1024, readUnitNs and writeUnitNs above 0");
  }

  ModelAnswer run(const ModelCommand& command, uint64_t at_ns, ModelLink& link) override {
    if (command.op == ModelOp::kDeallocate) at_ns += static_cast<uint64_t>(s_.write_fixed_ns);
    if (command.op != ModelOp::kRead && command.op != ModelOp::kWrite) return {at_ns, at_ns};  // nothing is buffered
    const bool reads = command.op == ModelOp::kRead;
    (reads ? totals_.reads : totals_.writes)++;
    (reads ? totals_.read_bytes : totals_.written_bytes) += command.bytes;
    const uint64_t first = command.offset / 4096;
    const uint64_t pages = std::max<uint64_t>(1, (command.offset % 4096 + command.bytes + 4095) / 4096);
    const uint64_t begin_ns = at_ns + static_cast<uint64_t>(reads ? s_.read_fixed_ns : s_.write_fixed_ns);
    uint64_t done_ns = begin_ns;
    uint64_t busy_ns = begin_ns;
    for (uint64_t page = first; page < first + pages; page++) {
      uint64_t& free_ns = units_[page % units_.size()];
      const bool host = command.port == ModelPort::kHost;
      if (reads) {
        free_ns = std::max(free_ns, begin_ns) + static_cast<uint64_t>(s_.read_unit_ns);
        done_ns = std::max(done_ns, host ? link.to_host.arrival_ns(4096, free_ns) : free_ns);
      } else {
        free_ns = std::max(free_ns, host ? link.from_host.arrival_ns(4096, begin_ns) : begin_ns) + static_cast<uint64_t>(s_.write_unit_ns);
        done_ns = std::max(done_ns, free_ns);
      }
      busy_ns = std::max(busy_ns, free_ns);
    }
    return {done_ns, busy_ns};
  }
  MediaTotals totals() const override { return totals_; }
  void reset_counts() override { totals_ = {}; }
  void precondition_write(uint64_t, uint64_t) override {}

 private:
  UnitSettings s_;
  std::vector<uint64_t> units_;  // free from
  MediaTotals totals_;
};

}  // namespace millrace
