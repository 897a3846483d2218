#include "core/scan/feed.h"

#include <algorithm>
#include <cstring>

#include "core/crc32c.h"
#include "core/model/clock.h"
#include "core/scan/execution.h"

namespace millrace {

namespace {

constexpr uint64_t kAbsent = ~0ull;
/** Small enough to stay in a core's cache between the read and the checksum. */
constexpr uint64_t kVerifyBlocks = 64;

wire::MorselColumn describe(const wire::ChunkRecord& record, uint64_t offset) {
  wire::MorselColumn column{};
  column.validity_offset = record.validity_bytes > 0 ? offset + record.validity_offset_bytes : kAbsent;
  column.offsets_offset = record.offsets_bytes > 0 ? offset + record.offsets_offset_bytes : kAbsent;
  column.data_offset = record.data_bytes > 0 ? offset + record.data_offset_bytes : kAbsent;
  column.data_bytes = record.data_bytes;
  column.null_count = record.null_count;
  return column;
}

}  // namespace

/** Byte-addressable media tells the threads that load from it apart: each slot is one. */
void Feed::model_read(uint64_t offset, uint64_t bytes) {
  if (!gate_) return;
  const ModelCommand command{.op = ModelOp::kRead, .port = ModelPort::kDevice, .offset = offset, .bytes = bytes, .thread = slot_, .threads = slots_};
  ready_ns_ = std::max(ready_ns_, gate_->due_ns(command, monotonic_ns()));
}

/**
 * Through a small buffer: we map no media ourselves, because a load that fails there would be a signal in place of a status.
 * What the kernel gets is not this copy.
 */
uint32_t Feed::verify(const wire::ChunkRecord& record) {
  piece_.resize(kVerifyBlocks * kBlockBytes);
  uint32_t crc = 0;
  for (uint64_t block = 0; block < chunk_blocks(record); block += kVerifyBlocks) {
    const uint64_t blocks = std::min(kVerifyBlocks, chunk_blocks(record) - block);
    if (const uint32_t status = backing_.read(record.slba + block, blocks, piece_.data()); status != wire::kStatusSuccess) return status;
    crc = crc32c(piece_.data(), std::min(blocks * kBlockBytes, record.used_bytes - block * kBlockBytes), crc);
  }
  return crc == record.crc32c ? wire::kStatusSuccess : wire::kStatusChecksumMismatch;
}

bool Feed::in_place(const Dataset& dataset, const ChunkKey& key, const wire::ChunkRecord& record, uint64_t& offset, uint32_t& status) {
  if (!view_) return false;
  const auto at = view_->find(record.slba, chunk_blocks(record));
  if (!at) return false;
  status = wire::kStatusSuccess;
  std::atomic<bool>& verified = dataset.verified(key.column, key.row_group);
  if (!verified.load(std::memory_order_acquire)) {
    status = verify(record);
    if (status == wire::kStatusSuccess) verified.store(true, std::memory_order_release);
  }
  if (status != wire::kStatusSuccess) return true;
  offset = slm_->mapped_bytes() + *at;
  model_read(record.slba * kBlockBytes, chunk_blocks(record) * kBlockBytes);
  Counters::add(counters_.in_place_bytes, chunk_blocks(record) * kBlockBytes);
  return true;
}

uint32_t Feed::fill(const wire::ChunkRecord& record, uint64_t offset) {
  const uint64_t blocks = chunk_blocks(record);
  counters_.command(QueueKind::kSlot, Command::kMemoryCopy);
  slm_->touch(offset, blocks * kBlockBytes);
  model_read(record.slba * kBlockBytes, blocks * kBlockBytes);
  // Whole blocks: the last one's tail is the media's, not what an earlier chunk left in the window.
  if (const uint32_t status = backing_.read(record.slba, blocks, slm_->at(offset)); status != wire::kStatusSuccess) return status;
  Counters::add(counters_.media_read_bytes, blocks * kBlockBytes);
  return crc32c(slm_->at(offset), record.used_bytes) == record.crc32c ? wire::kStatusSuccess : wire::kStatusChecksumMismatch;
}

Feed::Outcome Feed::place(const Scan& scan, const ChunkKey& key, const wire::ChunkRecord& record, bool alone, StagedInputs& inputs, uint64_t& offset, uint32_t& status) {
  if (in_place(*scan.spec.dataset, key, record, offset, status)) return status == wire::kStatusSuccess ? Outcome::kStaged : Outcome::kFailed;
  const uint64_t bytes = chunk_blocks(record) * kBlockBytes;
  auto try_resident = [&](bool admit) {
    const auto found = slm_->resident().find(key, bytes, admit);
    if (found.found == ResidentCache::Found::kNo) return false;
    offset = found.offset;
    status = found.found == ResidentCache::Found::kHit ? wire::kStatusSuccess : fill(record, offset);
    if (status != wire::kStatusSuccess) {
      slm_->resident().abandon(key);
      return true;
    }
    if (found.found == ResidentCache::Found::kReserved) slm_->resident().publish(key);
    inputs.pinned.push_back(key);
    return true;
  };
  if (!scan.spec.feed_window_only && try_resident(scan.spec.feed_resident)) return status == wire::kStatusSuccess ? Outcome::kStaged : Outcome::kFailed;

  if (const auto at = window_->take(bytes)) {
    inputs.window.emplace_back(*at, bytes);
    offset = *at;
    slm_->window_loads.fetch_add(1, std::memory_order_relaxed);
    status = fill(record, offset);
    return status == wire::kStatusSuccess ? Outcome::kStaged : Outcome::kFailed;
  }
  if (!alone) return Outcome::kWait;
  // A morsel wider than the whole window: the resident region is the last place that may have room.
  status = wire::kStatusInsufficientResources;
  if (try_resident(true) && status == wire::kStatusSuccess) return Outcome::kStaged;
  return Outcome::kFailed;
}

Feed::Outcome Feed::stage(const Scan& scan, uint32_t morsel, bool alone, std::vector<wire::MorselColumn>& columns, StagedInputs& inputs, uint32_t& status) {
  if (scan.spec.execution) return stage_memory(scan, alone, columns, inputs, status);
  const uint32_t row_group = scan.spec.row_groups[morsel];
  columns.clear();
  ready_ns_ = 0;
  for (const uint32_t column : scan.spec.columns) {
    const wire::ChunkRecord& record = scan.spec.dataset->chunk(column, row_group);
    uint64_t offset = 0;
    if (record.used_bytes > 0) {
      const Outcome outcome = place(scan, {scan.spec.dataset->header().handle, column, row_group}, record, alone, inputs, offset, status);
      if (outcome != Outcome::kStaged) {
        failed_slba_ = record.slba;
        release(inputs);
        return outcome;
      }
    }
    columns.push_back(describe(record, offset));
  }
  status = wire::kStatusSuccess;
  return Outcome::kStaged;
}

Feed::Outcome Feed::stage_memory(const Scan& scan, bool alone, std::vector<wire::MorselColumn>& columns, StagedInputs& inputs, uint32_t& status) {
  columns.clear();
  ready_ns_ = 0;
  scan.spec.execution->begin();
  inputs.own = true;
  for (const wire::MemoryRange& range : scan.spec.execution->inputs()) {
    uint64_t at = 0;
    const bool media = range.nsid == wire::kNsidPmem;
    if (!(media ? stage_media(range, inputs, at, status) : take_private(range.length, inputs, at, status))) {
      release(inputs);
      return alone || status != wire::kStatusInsufficientResources ? Outcome::kFailed : Outcome::kWait;
    }
    for (uint64_t from = 0; !media && from < range.length; from += HostMemory::kTurnBytes)
      scan.owner->memory.read(range.start + from, {slm_->at(at + from), std::min<uint64_t>(HostMemory::kTurnBytes, range.length - from)});
    wire::MorselColumn column{};
    column.validity_offset = column.offsets_offset = kAbsent;
    column.data_offset = at;
    column.data_bytes = range.length;
    columns.push_back(column);
  }
  status = wire::kStatusSuccess;
  return Outcome::kStaged;
}

bool Feed::take_private(uint64_t bytes, StagedInputs& inputs, uint64_t& offset, uint32_t& status) {
  const auto at = private_window_->take(bytes);
  status = at ? wire::kStatusSuccess : wire::kStatusInsufficientResources;
  if (!at) return false;
  inputs.window.emplace_back(*at, bytes);
  std::memset(slm_->at(*at + bytes), 0, PageAllocator::round_up(bytes) - bytes);
  offset = *at;
  return true;
}

bool Feed::stage_media(const wire::MemoryRange& range, StagedInputs& inputs, uint64_t& offset, uint32_t& status) {
  const auto at = view_ && Execution::whole_blocks(range) ? view_->find(range.start / kBlockBytes, range.length / kBlockBytes) : std::nullopt;
  if (at) {
    offset = slm_->mapped_bytes() + *at;
    status = wire::kStatusSuccess;
    model_read(range.start, range.length);
    Counters::add(counters_.in_place_bytes, range.length);
    return true;
  }
  if (!take_private(range.length, inputs, offset, status)) return false;
  model_read(range.start, range.length);
  failed_slba_ = range.start / kBlockBytes;
  status = backing_.read_bytes(range.start, range.length, slm_->at(offset));
  if (status == wire::kStatusSuccess) Counters::add(counters_.media_read_bytes, range.length);
  return status == wire::kStatusSuccess;
}

void Feed::release(StagedInputs& inputs) {
  for (const auto& [offset, bytes] : inputs.window)
    if (inputs.own) std::memset(slm_->at(offset), 0, bytes);
  for (const ChunkKey& key : inputs.pinned) slm_->resident().unpin(key);
  for (const auto& [offset, bytes] : inputs.window) (inputs.own ? private_window_ : window_)->give(offset, bytes);
  inputs.pinned.clear();
  inputs.window.clear();
}

}  // namespace millrace
