// What every kind of media answers: when a command is done. Pure and deterministic: time comes in as an argument, commands
// come in the order of their times (small disorder between threads does no harm).
#pragma once
#include <cstdint>

#include "core/model/command.h"
#include "core/model/link.h"

namespace millrace {

/** The two directions of the link to hosts. */
struct ModelLink {
  explicit ModelLink(LinkSettings settings) : to_host(settings), from_host(settings) {}
  LinkModel to_host;
  LinkModel from_host;
};

struct MediaTotals {
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  /** Bytes the media itself wrote, over what hosts wrote: garbage collection, half empty units, partly written lines. */
  double write_amplification = 1;
};

class Media {
 public:
  virtual ~Media() = default;
  /** kFlush: when everything written is on the media. kDeallocate: the range reads as nothing afterwards; takes the fixed part of a write (a choice: nobody publishes it). Bytes beyond the media's end wrap. */
  virtual ModelAnswer run(const ModelCommand& command, uint64_t at_ns, ModelLink& link) = 0;
  virtual MediaTotals totals() const = 0;
  virtual void reset_counts() = 0;
  /** Writes the range as if long ago: what is mapped where changes, no time passes. */
  virtual void precondition_write(uint64_t offset, uint64_t bytes) = 0;
};

}  // namespace millrace
