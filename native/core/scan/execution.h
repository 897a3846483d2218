// One Execute Program of a host: a scan of one morsel. Its columns are ranges of the host's own memory, copied in before it
// runs; what it puts out goes into the last range, and nowhere else, when it has ended well.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/device/memory_range_sets.h"
#include "core/scan/frames.h"

namespace millrace {

class Scan;

class Execution {
 public:
  /** What stays in use while it runs: the set its ranges are of (nullptr: it brought them along) and the program. */
  struct Holds {
    std::shared_ptr<const MemoryRanges> set;
    std::shared_ptr<const void> program;
  };
  /** ended: the morsel is over; code: GuestFault or Status, 0: it ended well. Any thread, no lock held. */
  Execution(uint32_t queue_id, const wire::Sqe& sqe, MemoryRanges ranges, uint32_t rows, Holds holds, std::function<void(Scan& scan, uint32_t code)> ended)
      : queue_id(queue_id), sqe(sqe), rows(rows), ended(std::move(ended)), ranges_(std::move(ranges)), holds_(std::move(holds)) {}

  const uint32_t queue_id;
  const wire::Sqe sqe;
  const uint32_t rows;
  const std::function<void(Scan& scan, uint32_t code)> ended;

  std::span<const wire::MemoryRange> inputs() const { return std::span(ranges_).first(ranges_.size() - 1); }
  const wire::MemoryRange& output() const { return ranges_.back(); }

  /** Rows each input has room for exactly, of 1, 2, 4, 8 or 16 bytes a value; wanted 0: one per byte of the first. wire::Status. */
  static uint32_t check(const MemoryRanges& ranges, uint32_t wanted, uint32_t& rows);

  /** True: the caller completes the command, nobody else will. What it held is free again. */
  bool settle() {
    if (settled_.exchange(true)) return false;
    holds_ = {};
    return true;
  }

  // The feeder that runs the morsel.
  /** It begins, or begins anew. */
  void begin() { columns_.clear(); }
  /** Keeps what frames hold; their bodies are the slot's memory. The GuestFault there is in them, with words, or 0. */
  uint32_t take(std::span<const Frame> frames, std::string& why);
  /** Columns one behind the other, each at a multiple of 8 bytes, into the output range; bytes: how many. False: no memory is left; nothing was written. */
  bool write(HostMemory& memory, uint32_t& bytes) const;

 private:
  uint32_t take(const Frame& frame, std::string& why);
  std::atomic<bool> settled_{false};
  const MemoryRanges ranges_;
  Holds holds_;  // whoever settles lets go
  std::vector<std::vector<std::byte>> columns_;
};

}  // namespace millrace
