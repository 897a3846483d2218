// The NVM command set on one namespace. Runs on the association's I/O thread; what must reach the media first, or takes
// long, completes from the namespace's flush thread.
#pragma once
#include <array>

#include "core/device/backing_file.h"
#include "core/device/datasets.h"
#include "core/device/flush_thread.h"

namespace millrace {

/** The backing file of a namespace of blocks; nullptr: it has none. */
using BlockFiles = std::function<const BackingFile*(uint32_t nsid)>;

/** Whether these blocks are the association's to read: where its ticket names datasets, the chunks of those only. */
inline bool may_read(const DatasetTable& datasets, const Association& association, uint32_t nsid, uint64_t slba, uint64_t blocks) {
  return !association.datasets || (nsid != wire::kNsidRaw && datasets.within(*association.datasets, slba, blocks));
}

class BlockCommands {
 public:
  struct Blocks {
    uint64_t slba;
    uint64_t count;
    uint64_t bytes() const { return count * kBlockBytes; }
  };
  /** hosts_write: without a ticket. media_failed: told on the thread of flushes; what fails at once, the command's status says. */
  BlockCommands(const BackingFile& backing, BlockFiles files, const DatasetTable& datasets, bool hosts_write, Counters& counters, std::function<void()> media_failed)
      : backing_(backing), files_(std::move(files)), datasets_(datasets), hosts_write_(hosts_write), counters_(counters), media_failed_(std::move(media_failed)), flushes_([this] { return flushed(backing_.flush()); }) {}

  /** result.later: the command completes through Association::finish. */
  CommandResult execute(Command command, const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  /** Memory Copy to blocks, under the rules of Write without FUA: `fill` reads the sources into `bytes` when nothing speaks against the copy. `sqe` is the command it completes. */
  CommandResult copy_from_memory(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe, Blocks to, CopySources sources, std::span<const std::byte> bytes, const std::function<CommandResult()>& fill);
  /** Everything written before is durable when `done` is called, on another thread. */
  void flush(std::function<void(uint32_t status)> done) { flushes_.flush(std::move(done)); }

 private:
  static Blocks blocks_of(const wire::Sqe& sqe) { return {uint64_t{sqe.cdw11} << 32 | sqe.cdw10, uint64_t{sqe.cdw12 & 0xffffu} + 1}; }

  CommandResult read(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  CommandResult write(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  CommandResult compare(const Association& association, const wire::Sqe& sqe) const;
  CommandResult verify(const Association& association, const wire::Sqe& sqe) const;
  CommandResult write_zeroes(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  CommandResult deallocate(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  CommandResult copy(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  /** To be held while blocks are written; nullptr: they are not this host's. */
  std::shared_ptr<WritePermit> permit(const Association& association, Blocks blocks) const;
  /** A write that succeeded: complete now, or when it is durable (FUA, or no volatile write cache). */
  CommandResult written(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  uint32_t flushed(uint32_t status) {
    if (status != wire::kStatusWriteFault && status != wire::kStatusUnrecoveredRead) return status;
    Counters::add(counters_.media_errors, 1);
    media_failed_();
    return status;
  }

  const BackingFile& backing_;
  BlockFiles files_;
  const DatasetTable& datasets_;
  bool hosts_write_;
  Counters& counters_;
  std::function<void()> media_failed_;
  FlushThread flushes_;  // last: it uses the others
};

}  // namespace millrace
