// What the device knows of datasets: chunk records by handle, leases, and which blocks are column chunks.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/device/block_ranges.h"
#include "core/limits.h"
#include "wire/wire.gen.h"

namespace millrace {

/** Immutable once registered. A shared_ptr to it is a lease: its blocks stay what they are until the last one is gone. */
class Dataset {
 public:
  Dataset(wire::DatasetHeader header, std::vector<wire::ChunkRecord> records, std::string name) : header_(header), records_(std::move(records)), name_(std::move(name)), verified_(new std::atomic<bool>[records_.size()]()) {}
  ~Dataset() {
    if (on_last_lease_) on_last_lease_();
  }
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  const wire::DatasetHeader& header() const { return header_; }
  const std::string& name() const { return name_; }
  const wire::ChunkRecord& chunk(uint32_t column, uint32_t row_group) const { return records_[uint64_t{column} * header_.row_groups + row_group]; }
  std::span<const wire::ChunkRecord> column(uint32_t column) const { return {&records_[uint64_t{column} * header_.row_groups], header_.row_groups}; }
  std::span<const wire::ChunkRecord> dictionaries() const { return std::span(records_).subspan(uint64_t{header_.columns} * header_.row_groups); }
  /** Where chunks are used where they lie, their checksum is looked at before the first use; a device that starts anew forgets it. Any thread. */
  std::atomic<bool>& verified(uint32_t column, uint32_t row_group) const { return verified_[uint64_t{column} * header_.row_groups + row_group]; }
  std::span<const wire::ChunkRecord> chunks() const { return std::span(records_).first(uint64_t{header_.columns} * header_.row_groups); }

 private:
  friend class DatasetTable;
  wire::DatasetHeader header_;
  std::vector<wire::ChunkRecord> records_;
  std::string name_;
  std::unique_ptr<std::atomic<bool>[]> verified_;
  std::function<void()> on_last_lease_;
};

inline uint64_t chunk_blocks(const wire::ChunkRecord& record) { return (record.used_bytes + kBlockBytes - 1) / kBlockBytes; }

class DatasetTable {
 public:
  explicit DatasetTable(uint64_t blocks) : blocks_(blocks) {}

  /** DatasetHeader and records (native/wire/scan.def). Throws std::invalid_argument naming the field. */
  void register_dataset(std::span<const std::byte> layout, std::string name);
  /** nullptr: not registered or retired. */
  std::shared_ptr<const Dataset> find(uint32_t handle) const;
  /** For who may read datasets of these names only (nullptr: all): what may not be read is not there. */
  std::shared_ptr<const Dataset> find(uint32_t handle, const std::set<std::string>* names) const {
    auto dataset = find(handle);
    return dataset && names && !names->contains(dataset->name()) ? nullptr : dataset;
  }
  /** No new leases; `gone` runs (any thread) once the last one ended. False: no such dataset. */
  bool retire(uint32_t handle, std::function<void()> gone);
  /** How many of these blocks are column chunks of a dataset somebody can still read. */
  uint64_t chunk_blocks_in(uint64_t slba, uint64_t blocks) const;
  /** The dataset whose column chunks the blocks all are, for who may read those of these names only (nullptr: all); nullptr: none that can still be asked for. */
  std::shared_ptr<const Dataset> holding(uint64_t slba, uint64_t blocks, const std::set<std::string>* names) const;
  /** Whether the blocks are all column chunks of one dataset with one of these names that somebody can still read. */
  bool within(const std::set<std::string>& names, uint64_t slba, uint64_t blocks) const;

 private:
  void check(const wire::DatasetHeader& header, const std::vector<wire::ChunkRecord>& records) const;
  uint64_t blocks_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<uint32_t, std::shared_ptr<Dataset>> datasets_;
  struct Chunks {
    std::string name;
    BlockRanges ranges;
  };
  std::unordered_map<uint32_t, Chunks> chunks_;  // until the last lease ended
};

}  // namespace millrace
