// Which module lies under which program number in one slot process. The slot completes in order, so a number may be
// given to another module while commands of the old one are still queued before the Load.
#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "core/limits.h"

namespace millrace {

class SlotPrograms {
 public:
  /** The number the module has; counts as used. */
  std::optional<uint32_t> find(uint64_t module) {
    for (uint32_t i = 0; i < kSlotPrograms; i++)
      if (programs_[i].module == module) {
        programs_[i].used = ++clock_;
        return i;
      }
    return std::nullopt;
  }
  /** Gives the least recently used number to the module. */
  uint32_t assign(uint64_t module) {
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < kSlotPrograms; i++)
      if (programs_[i].used < programs_[oldest].used) oldest = i;
    programs_[oldest] = {module, ++clock_};
    return oldest;
  }
  void forget(uint64_t module) {
    for (auto& program : programs_)
      if (program.module == module) program = {};
  }
  void clear() { programs_ = {}; }

 private:
  struct Program {
    uint64_t module = 0;  // 0: none
    uint64_t used = 0;
  };
  std::array<Program, kSlotPrograms> programs_{};
  uint64_t clock_ = 0;
};

}  // namespace millrace
