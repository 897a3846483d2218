// One Execute Program of a host: a scan of one morsel. Its columns are ranges of the host's own memory, copied in before it
// runs, or of media that is memory, in place where its slot sees it. What it puts out goes into the last range, and nowhere else,
// when it has ended well.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/device/datasets.h"
#include "core/device/memory_range_sets.h"
#include "core/device/tickets.h"
#include "core/scan/frames.h"

namespace millrace {

class Scan;

class Execution {
 public:
  /** What stays in use while it runs: the set its ranges are of (nullptr: it brought them along) and the program. */
  struct Holds {
    std::shared_ptr<const MemoryRanges> set;
    std::shared_ptr<const void> program;
    /** Of an output on the media. */
    std::shared_ptr<WritePermit> output;
  };
  /** By input: the dataset whose chunks a range of the media is, so that its blocks stay that dataset's; nullptr: no whole blocks of one. */
  using Leases = std::vector<std::shared_ptr<const Dataset>>;
  /** ended: the morsel is over; code: GuestFault or Status, 0: it ended well. Any thread, no lock held. */
  Execution(uint32_t queue_id, const wire::Sqe& sqe, MemoryRanges ranges, uint32_t rows, Holds holds, Leases leases, std::function<void(Scan& scan, uint32_t code)> ended)
      : queue_id(queue_id), sqe(sqe), rows(rows), ended(std::move(ended)), leases(std::move(leases)), ranges_(std::move(ranges)), holds_(std::move(holds)) {}

  const uint32_t queue_id;
  const wire::Sqe sqe;
  const uint32_t rows;
  const std::function<void(Scan& scan, uint32_t code)> ended;

  /** LIFETIME: as long as a slot may still be at it, settled or not. */
  const Leases leases;

  std::span<const wire::MemoryRange> inputs() const { return std::span(ranges_).first(ranges_.size() - 1); }
  const wire::MemoryRange& output() const { return ranges_.back(); }

  /** Only these are used in place: the kernel sees pages. */
  static bool whole_blocks(const wire::MemoryRange& range) { return range.start % kBlockBytes == 0 && range.length % kBlockBytes == 0; }
  /** Rows each input has room for exactly, of 1, 2, 4, 8 or 16 bytes a value; wanted 0: one per byte of the first. wire::Status. */
  static uint32_t check(const MemoryRanges& ranges, uint32_t wanted, uint32_t& rows);

  /** The caller completes the command, nobody else will. What it held is free with what this gives; nullopt: somebody was first. */
  std::optional<Holds> settle() {
    if (settled_.exchange(true)) return std::nullopt;
    return std::exchange(holds_, {});
  }

  // The feeder that runs the morsel.
  /** It begins, or begins anew. */
  void begin() { columns_.clear(); }
  /** Keeps what frames hold; their bodies are the slot's memory. The GuestFault there is in them, with words, or 0. */
  uint32_t take(std::span<const Frame> frames, std::string& why);
  /** What belongs into the output range: columns one behind the other, each at a multiple of 8 bytes. */
  std::vector<std::byte> laid_out() const;

 private:
  uint32_t take(const Frame& frame, std::string& why);
  std::atomic<bool> settled_{false};
  const MemoryRanges ranges_;
  Holds holds_;  // whoever settles lets go
  std::vector<std::vector<std::byte>> columns_;
};

}  // namespace millrace
