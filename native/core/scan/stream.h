// What can move of a scan whose kernel keeps state from morsel to morsel. Its morsels run in order, in one slot at a time; between two of
// them the slot gives the state up as bytes (native/wire/checkpoint.def), and the stream goes on in another, or at the host.
//
// The device never looks into those bytes: the jailed process that is to go on with them does. Should a slot die with a state, the stream
// begins again where its last one was taken; what was put out since is made once more, compared with nothing and passed on to nobody.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/device/counters.h"
#include "core/limits.h"
#include "wire/wire.gen.h"

namespace millrace {

/** A checkpoint as it comes in, in pieces, and as it is kept; counted as long as it is there. */
class CheckpointBytes {
 public:
  explicit CheckpointBytes(Counters& counters) : counters_(counters) {}
  CheckpointBytes(const CheckpointBytes&) = delete;
  CheckpointBytes& operator=(const CheckpointBytes&) = delete;
  ~CheckpointBytes() { counters_.checkpoint_bytes.fetch_sub(bytes_.size()); }

  /** wire::Status; nothing was taken unless it is Success. */
  uint32_t append(std::span<const std::byte> piece) {
    if (bytes_.size() + piece.size() > kCheckpointBytesMax) return wire::kStatusCheckpointTooBig;
    if (counters_.checkpoint_bytes.fetch_add(piece.size()) + piece.size() > kCheckpointTotalBytesMax) {
      counters_.checkpoint_bytes.fetch_sub(piece.size());
      return wire::kStatusInsufficientResources;
    }
    bytes_.insert(bytes_.end(), piece.begin(), piece.end());
    return wire::kStatusSuccess;
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  Counters& counters_;
  std::vector<std::byte> bytes_;
};

/** Where a stream can go on. */
struct StreamState {
  std::shared_ptr<const CheckpointBytes> checkpoint;  // null: it begins
  uint32_t batches = 0;                               // used up when it was taken: the morsel that comes next
};

/** Under its scan's lock. */
struct Stream {
  struct Command {
    uint32_t queue_id;
    uint16_t cid;
    std::span<std::byte> data;
    uint64_t offset;
  };
  /** The slot that has the state, or is being given it; 0: none. */
  uint32_t holder = 0;
  /** The host has it, or wants it: no slot goes on. */
  bool held = false;
  uint32_t next = 0;
  /** Morsels before this were put out and passed on. */
  uint32_t delivered = 0;
  /** The last that was taken; what a lost slot costs lies behind it. */
  StreamState state;
  std::shared_ptr<CheckpointBytes> incoming;
  uint64_t incoming_bytes = 0;
  /** A ScanCheckpoint that waits for the state. */
  std::optional<Command> asked;
  /** The last piece of a ScanRestore that waits for a slot's word, and the state should it be refused. */
  std::optional<Command> restoring;
  StreamState before;
  uint32_t before_delivered = 0;
  /** Slots that died while they took the state, and while they gave it up, since the last that did not. */
  uint32_t lost_restores = 0;
  uint32_t lost_captures = 0;
};

}  // namespace millrace
