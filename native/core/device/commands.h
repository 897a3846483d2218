// What each command does, except scans (scan/scan_commands.cc). Runs on the association's I/O thread.
#pragma once
#include <functional>
#include <memory>

#include "core/device/association.h"
#include "core/device/block_commands.h"
#include "core/device/counters.h"
#include "core/device/datasets.h"

namespace millrace {

class MemoryCommands {
 public:
  /** nullptr: no namespace of blocks. */
  using Blocks = std::function<BlockCommands*(uint32_t nsid)>;
  MemoryCommands(BlockFiles files, Blocks blocks, const DatasetTable& datasets, Counters& counters) : files_(std::move(files)), blocks_(std::move(blocks)), datasets_(datasets), counters_(counters) {}
  CommandResult fill(Association& association, const wire::Sqe& sqe) const;
  CommandResult copy(const std::shared_ptr<Association>& host, uint32_t queue_id, const wire::Sqe& sqe) const;
  CommandResult read(const Association& association, const wire::Sqe& sqe) const;
  CommandResult write(Association& association, const wire::Sqe& sqe) const;

 private:
  /** Of the namespace: it is there, and the host's to read. */
  uint32_t check_range(const Association& association, uint32_t nsid, uint64_t start, uint64_t length) const;
  /** Of a source of Memory Copy. */
  uint32_t check_source_blocks(const Association& association, uint32_t nsid, uint64_t slba, uint64_t blocks) const;
  uint32_t check_source_memory(const Association& association, uint32_t nsid, uint64_t start, uint64_t length) const;
  uint32_t get_blocks(uint32_t nsid, uint64_t slba, std::span<std::byte> to) const;
  uint32_t get(const Association& association, uint32_t nsid, uint64_t start, std::span<std::byte> to) const;
  uint32_t put(Association& association, uint32_t nsid, uint64_t start, std::span<const std::byte> from) const;

  BlockFiles files_;
  Blocks blocks_;
  const DatasetTable& datasets_;
  Counters& counters_;
};

/** Memory Range Set Management. */
CommandResult manage_range_set(Association& association, const wire::Sqe& sqe);
/** Load Program, Program Activation Management. */
CommandResult load_program(Association& association, const wire::Sqe& sqe);
CommandResult activate_program(Association& association, const wire::Sqe& sqe);
/** ChunkRecord[] of one column, or of all dictionaries. */
CommandResult dataset_layout(const Association& association, const DatasetTable& datasets, const wire::Sqe& sqe);

}  // namespace millrace
