// NAND flash behind channels, composed as NVMeVirt composes it (snu-csl/nvmevirt conv_ftl.c, ssd.c, channel_model.c):
// read: firmware, wait for the LUN, tR by page type, then chunks over the channel, each chunk's link transfer beside the next;
// write: fixed + per page + link ends the command, channel transfer and program run behind it and give the buffer back;
// flush and FUA wait for them. Firmware time is a shift and never queues.
#pragma once
#include <functional>
#include <queue>
#include <vector>

#include "core/model/ftl.h"
#include "core/model/media.h"
#include "core/model/settings.h"

namespace millrace {

class FlashMedia final : public Media {
 public:
  /** Throws std::invalid_argument. */
  FlashMedia(const FlashSettings& settings, uint64_t capacity_bytes);

  ModelAnswer run(const ModelCommand& command, uint64_t at_ns, ModelLink& link) override;
  MediaTotals totals() const override;
  void reset_counts() override;
  void precondition_write(uint64_t offset, uint64_t bytes) override;

  const Ftl& ftl() const { return ftl_; }
  uint64_t erases() const { return erases_; }
  uint64_t moved_pages_read() const { return moved_reads_; }

 private:
  struct Lun {
    uint64_t free_ns = 0;
    /** The last read ends; before free_ns where reads passed programs. */
    uint64_t read_free_ns = 0;
  };

  ModelAnswer read(const ModelCommand& command, uint64_t at_ns, ModelLink& link);
  ModelAnswer write(const ModelCommand& command, uint64_t at_ns, ModelLink& link);
  ModelAnswer flush(uint64_t at_ns);
  /** Reads `bytes` at a place; `chunk` is called with each chunk's size and the time it left the channel. */
  template <typename Chunk>
  uint64_t sense(Ftl::Place place, uint64_t bytes, uint64_t at_ns, Chunk&& chunk);
  /** Programs the unit that ends at `position` once its data is there; returns when it is done. */
  uint64_t program(uint32_t position, uint64_t at_ns);
  void collect(uint64_t at_ns);
  uint64_t wait_for_buffer(uint64_t bytes, uint64_t at_ns);
  uint64_t page_of(uint64_t offset) const { return offset / kFlashMapBytes % ftl_.logical_pages(); }

  static constexpr uint64_t kFlashMapBytes = 4096;
  FlashSettings s_;
  uint32_t flash_page_pages_;
  double erase_ns_;  // of a block of this capacity's size
  Ftl ftl_;
  std::vector<Lun> luns_;
  std::vector<Pipe> channels_;
  Pipe device_;
  struct Release {
    uint64_t at_ns;
    uint64_t bytes;
    bool operator>(const Release& other) const { return at_ns > other.at_ns; }
  };
  std::priority_queue<Release, std::vector<Release>, std::greater<>> releases_;
  uint64_t buffered_bytes_ = 0;
  uint64_t open_bytes_ = 0;  // of the unit that is not full yet
  uint64_t written_until_ns_ = 0;
  uint64_t forgotten_ns_ = 0;
  uint64_t moved_reads_ = 0;
  uint64_t erases_ = 0;
  MediaTotals totals_;
};

}  // namespace millrace
