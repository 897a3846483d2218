// Brings the column chunks of one morsel before the slot: resident ones are pinned in SLM, the others read into the slot's hot
// window. Where the media is memory and the slot's process maps it (media_view.h), they stay where they are. Checksums are
// verified here, once: when a chunk enters SLM, or before it is used in place for the first time.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "core/device/backing_file.h"
#include "core/device/completion_gate.h"
#include "core/device/counters.h"
#include "core/scan/media_view.h"
#include "core/scan/scan.h"
#include "core/slm/slm.h"

namespace millrace {

/** What a morsel in flight holds in SLM. Given back by Feed::release. */
struct StagedInputs {
  std::vector<ChunkKey> pinned;
  std::vector<std::pair<uint64_t, uint64_t>> window;  // offset, bytes
  /** A host's own bytes, in the private window: nobody finds them there afterwards. */
  bool own = false;
};

class Feed {
 public:
  /** One per slot; used by its feeder thread only. */
  Feed(const BackingFile& backing, Counters& counters, uint32_t slot, uint32_t slots, CompletionGate* gate) : backing_(backing), counters_(counters), gate_(gate), slot_(slot), slots_(slots) {}
  /** The memory the slot's process maps, and behind it its view of the media. Nothing may be staged in another. LIFETIME: until the next call. */
  void use(Slm* slm, std::shared_ptr<const MediaView> view) {
    slm_ = slm;
    view_ = std::move(view);
    window_ = slm ? &slm->window(slot_) : nullptr;
    private_window_ = slm ? &slm->private_window(slot_) : nullptr;
  }

  enum class Outcome : uint8_t {
    kStaged,
    kWait,    // the window is full: again when an earlier morsel of this slot is done
    kFailed,  // `status` says why
  };
  /** Fills `columns` (one per scan column) and `inputs`. `alone`: nothing else of this slot is in flight, waiting is no use. On kWait and kFailed nothing is held. */
  Outcome stage(const Scan& scan, uint32_t morsel, bool alone, std::vector<wire::MorselColumn>& columns, StagedInputs& inputs, uint32_t& status);
  void release(StagedInputs& inputs);
  /** After kFailed by the media: the first block of what it was to read. */
  uint64_t failed_slba() const { return failed_slba_; }
  /** When modelled media had brought what the last stage() read; 0: it read nothing, or no media is modelled. */
  uint64_t ready_ns() const { return ready_ns_; }

 private:
  Outcome stage_memory(const Scan& scan, bool alone, std::vector<wire::MorselColumn>& columns, StagedInputs& inputs, uint32_t& status);
  /** Nothing of the chunk moves. */
  bool in_place(const Dataset& dataset, const ChunkKey& key, const wire::ChunkRecord& record, uint64_t& offset, uint32_t& status);
  uint32_t verify(const wire::ChunkRecord& record);
  void model_read(uint64_t offset, uint64_t bytes);
  /** A range of media that is memory, which a host's Execute names. False: `status` says why. */
  bool stage_media(const wire::MemoryRange& range, StagedInputs& inputs, uint64_t& offset, uint32_t& status);
  /** A piece of the private window, whose last page is zero behind the `bytes`. */
  bool take_private(uint64_t bytes, StagedInputs& inputs, uint64_t& offset, uint32_t& status);
  Outcome place(const Scan& scan, const ChunkKey& key, const wire::ChunkRecord& record, bool alone, StagedInputs& inputs, uint64_t& offset, uint32_t& status);
  uint32_t fill(const wire::ChunkRecord& record, uint64_t offset);

  const BackingFile& backing_;
  Counters& counters_;
  CompletionGate* gate_;  // nullptr: no media is modelled
  const uint32_t slot_;
  const uint32_t slots_;
  Slm* slm_ = nullptr;
  PageAllocator* window_ = nullptr;
  std::shared_ptr<const MediaView> view_;
  std::vector<std::byte> piece_;  // while a checksum is made
  PageAllocator* private_window_ = nullptr;
  uint64_t ready_ns_ = 0;
  uint64_t failed_slba_ = 0;
};

}  // namespace millrace
