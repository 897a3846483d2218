// Brings the column chunks of one morsel into SLM: resident ones are pinned, the others read into the slot's hot window.
// Checksums are verified here, once, when a chunk enters SLM.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "core/device/backing_file.h"
#include "core/device/counters.h"
#include "core/scan/scan.h"
#include "core/slm/slm.h"

namespace millrace {

/** What a morsel in flight holds in SLM. Given back by Feed::release. */
struct StagedInputs {
  std::vector<ChunkKey> pinned;
  std::vector<std::pair<uint64_t, uint64_t>> window;  // offset, bytes
};

class Feed {
 public:
  /** One per slot; used by its feeder thread only. */
  Feed(const BackingFile& backing, Slm& slm, Counters& counters, uint32_t slot) : backing_(backing), slm_(slm), counters_(counters), window_(slm.window(slot)) {}

  enum class Outcome : uint8_t {
    kStaged,
    kWait,    // the window is full: again when an earlier morsel of this slot is done
    kFailed,  // `status` says why
  };
  /** Fills `columns` (one per scan column) and `inputs`. `alone`: nothing else of this slot is in flight, waiting is no use. On kWait and kFailed nothing is held. */
  Outcome stage(const Scan& scan, uint32_t morsel, bool alone, std::vector<wire::MorselColumn>& columns, StagedInputs& inputs, uint32_t& status);
  void release(StagedInputs& inputs);

 private:
  Outcome place(const Scan& scan, const ChunkKey& key, const wire::ChunkRecord& record, bool alone, StagedInputs& inputs, uint64_t& offset, uint32_t& status);
  uint32_t fill(const wire::ChunkRecord& record, uint64_t offset);

  const BackingFile& backing_;
  Slm& slm_;
  Counters& counters_;
  PageAllocator& window_;
};

}  // namespace millrace
