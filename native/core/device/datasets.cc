#include "core/device/datasets.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <stdexcept>

namespace millrace {

namespace {

[[noreturn]] void refuse(const std::string& what) { throw std::invalid_argument(what); }

bool buffer_fits(uint32_t offset, uint32_t bytes, uint64_t used) { return offset % 64 == 0 && uint64_t{offset} + bytes <= used; }

void check_record(const wire::ChunkRecord& r, uint64_t blocks, bool dictionary, uint32_t rows_max, uint64_t index) {
  const std::string where = "record " + std::to_string(index) + ": ";
  if (r.used_bytes > (1ull << 32) || chunk_blocks(r) > blocks || r.slba > blocks - chunk_blocks(r)) refuse(where + "slba and usedBytes leave the namespace");
  if (!buffer_fits(r.validity_offset_bytes, r.validity_bytes, r.used_bytes)) refuse(where + "validity leaves the chunk");
  if (!buffer_fits(r.offsets_offset_bytes, r.offsets_bytes, r.used_bytes)) refuse(where + "offsets leave the chunk");
  if (!buffer_fits(r.data_offset_bytes, r.data_bytes, r.used_bytes)) refuse(where + "data leaves the chunk");
  if (r.validity_bytes != 0 && uint64_t{r.validity_bytes} * 8 < r.rows) refuse(where + "validity is shorter than rows");
  if (r.offsets_bytes != 0 && uint64_t{r.offsets_bytes} < (uint64_t{r.rows} + 1) * 4) refuse(where + "offsets are shorter than rows");
  if (r.null_count > r.rows) refuse(where + "nullCount is above rows");
  if (!dictionary && r.rows > rows_max) refuse(where + "rows is above rowGroupRowsMax");
}

}  // namespace

void DatasetTable::check(const wire::DatasetHeader& header, const std::vector<wire::ChunkRecord>& records) const {
  const uint64_t chunks = uint64_t{header.columns} * header.row_groups;
  for (uint64_t i = 0; i < records.size(); i++) check_record(records[i], blocks_, i >= chunks, header.row_group_rows_max, i);
  for (uint64_t group = 0; group < header.row_groups; group++)
    for (uint64_t column = 1; column < header.columns; column++)
      if (records[column * header.row_groups + group].rows != records[group].rows) refuse("columns of row group " + std::to_string(group) + " differ in rows");
}

void DatasetTable::register_dataset(std::span<const std::byte> layout, std::string name) {
  wire::DatasetHeader header;
  if (layout.size() < sizeof header) refuse("the layout is shorter than its header");
  std::memcpy(&header, layout.data(), sizeof header);
  if (header.columns == 0 || header.columns > kColumnsMax) refuse("columns is out of bounds");
  if (header.dictionaries > header.columns) refuse("dictionaries is above columns");
  const uint64_t count = uint64_t{header.columns} * header.row_groups + header.dictionaries;
  if (header.row_groups > kMorselsMax || count > kChunkRecordsMax) refuse("too many chunk records");
  if (layout.size() != sizeof header + count * sizeof(wire::ChunkRecord)) refuse("the layout's length does not fit its header");
  std::vector<wire::ChunkRecord> records(count);
  if (count > 0) std::memcpy(records.data(), layout.data() + sizeof header, count * sizeof(wire::ChunkRecord));
  check(header, records);

  auto dataset = std::make_shared<Dataset>(header, std::move(records), name);
  BlockRanges ranges;
  for (const wire::ChunkRecord& record : dataset->chunks()) ranges.add({record.slba, chunk_blocks(record)});
  const std::unique_lock lock(mutex_);
  if (datasets_.size() >= kDatasetsMax) refuse("too many datasets");
  // A handle is never reused while the device lives: caches and leases are keyed by it.
  if (!chunks_.emplace(header.handle, Chunks{std::move(name), std::move(ranges)}).second) refuse("the handle is in use");
  datasets_.emplace(header.handle, std::move(dataset));
}

std::shared_ptr<const Dataset> DatasetTable::find(uint32_t handle) const {
  const std::shared_lock lock(mutex_);
  const auto it = datasets_.find(handle);
  return it == datasets_.end() ? nullptr : it->second;
}

bool DatasetTable::retire(uint32_t handle, std::function<void()> gone) {
  std::shared_ptr<Dataset> last;
  {
    const std::unique_lock lock(mutex_);
    const auto it = datasets_.find(handle);
    if (it == datasets_.end()) return false;
    last = std::move(it->second);
    datasets_.erase(it);
    last->on_last_lease_ = [this, handle, gone = std::move(gone)] {
      {
        const std::unique_lock ranges_lock(mutex_);
        chunks_.erase(handle);
      }
      gone();
    };
  }
  return true;  // `last` goes out of scope outside the lock: if nobody reads the dataset, `gone` runs here
}

uint64_t DatasetTable::chunk_blocks_in(uint64_t slba, uint64_t blocks) const {
  const std::shared_lock lock(mutex_);
  uint64_t sum = 0;
  for (const auto& [handle, chunks] : chunks_) sum += chunks.ranges.covered(slba, blocks);
  // A version and the one that rows were appended to share chunks while the older one is still read.
  return std::min(sum, blocks);
}

std::shared_ptr<const Dataset> DatasetTable::holding(uint64_t slba, uint64_t blocks, const std::set<std::string>* names) const {
  const std::shared_lock lock(mutex_);
  for (const auto& [handle, dataset] : datasets_) {
    const auto found = chunks_.find(handle);
    if (found != chunks_.end() && (!names || names->contains(found->second.name)) && found->second.ranges.contains(slba, blocks)) return dataset;
  }
  return nullptr;
}

bool DatasetTable::within(const std::set<std::string>& names, uint64_t slba, uint64_t blocks) const {
  const std::shared_lock lock(mutex_);
  return std::any_of(chunks_.begin(), chunks_.end(), [&](const auto& entry) { return names.contains(entry.second.name) && entry.second.ranges.contains(slba, blocks); });
}

}  // namespace millrace
