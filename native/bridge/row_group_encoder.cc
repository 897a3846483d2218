#include "bridge/row_group_encoder.h"

#include <bit>
#include <cstring>

#include "bridge/bridge_error.h"

namespace millrace::bridge {

RowGroupEncoder::RowGroupEncoder(Session& session, const std::string& sql, std::vector<ColumnPlan> plans, EncodeLimits limits)
    : session_(session), api_(session.api()), connection_(session.connect()), sql_(sql), plans_(std::move(plans)), limits_(limits), text_bytes_(plans_.size(), 0) {
  try {
    result_.emplace(statement_.emplace(api_, connection_, sql).stream());
    if (result_->columns() != plans_.size()) throw BridgeError("MR_INTERNAL", "the plan has another number of columns than the query");
    for (size_t i = 0; i < plans_.size(); i++) sources_.push_back(source_type(result_->type(i)));
  } catch (...) {
    result_.reset();
    statement_.reset();
    api_.duckdb_disconnect(&connection_);
    throw;
  }
}

RowGroupEncoder::~RowGroupEncoder() {
  chunks_.clear();
  result_.reset();
  statement_.reset();
  api_.duckdb_disconnect(&connection_);
}

Piece RowGroupEncoder::piece(const Part& part, size_t column) const {
  const Chunk& chunk = chunks_[part.chunk];
  return {.data = chunk.data(column), .valid = chunk.validity(column), .begin = part.begin, .end = part.end};
}

std::vector<uint64_t> RowGroupEncoder::text_of(const Part& part) const {
  std::vector<uint64_t> text(plans_.size(), 0);
  for (size_t i = 0; i < plans_.size(); i++)
    if (plans_[i].physical == Physical::kUtf8) {
      if (sources_[i] != kVarchar) throw BridgeError("MR_INTERNAL", "column " + plans_[i].name + " comes in another type than planned");
      text[i] = text_bytes(piece(part, i));
    }
  return text;
}

uint64_t RowGroupEncoder::bytes_with(uint64_t more, const std::vector<uint64_t>& text) const {
  uint64_t bytes = 0;
  for (size_t i = 0; i < plans_.size(); i++) {
    const wire::ChunkRecord record = chunk_layout(plans_[i].physical, plans_[i].nullable, static_cast<uint32_t>(rows_ + more), 0);
    bytes += round_up(record.used_bytes + round_up(text_bytes_[i] + text[i], kBufferAlign), kBlockBytes);
  }
  return bytes;
}

idx_t RowGroupEncoder::rows_that_fit(const Part& part) const {
  idx_t fits = 0;
  idx_t too_many = part.end - part.begin + 1;
  while (too_many - fits > 1) {
    const idx_t middle = fits + (too_many - fits) / 2;
    const Part tried{.chunk = part.chunk, .begin = part.begin, .end = part.begin + middle};
    (bytes_with(middle, text_of(tried)) <= limits_.row_group_bytes_max ? fits : too_many) = middle;
  }
  return fits;
}

void RowGroupEncoder::take(const Part& part) {
  const std::vector<uint64_t> text = text_of(part);
  for (size_t i = 0; i < text.size(); i++) text_bytes_[i] += text[i];
  rows_ += static_cast<uint32_t>(part.end - part.begin);
  parts_.push_back(part);
  used_rows_ = part.end;
}

bool RowGroupEncoder::next_chunk() {
  if (ended_) return false;
  do {
    Chunk chunk = fetch();
    if (!chunk) {
      ended_ = true;
      return false;
    }
    if (chunk.rows() == 0) continue;
    chunks_.push_back(std::move(chunk));
    used_rows_ = 0;
    return true;
  } while (true);
}

Chunk RowGroupEncoder::fetch() {
  try {
    return result_->fetch();
  } catch (const BridgeError& error) {
    if (!says_interrupted(error) || session_.interrupted()) throw;
  }
  throw_cause();
}

void RowGroupEncoder::throw_cause() {
  for (int asked = 0; asked < kAskForCauseMax; asked++) {
    result_.reset();
    try {
      result_.emplace(statement_.emplace(api_, connection_, sql_).stream());
      while (result_->fetch())
        if (session_.interrupted()) break;
    } catch (const BridgeError& error) {
      if (!says_interrupted(error)) throw;
    }
    if (session_.interrupted()) throw BridgeError("MR_SQL_INTERRUPTED", "interrupted");
  }
  throw cause_untold();
}

RowGroupEncoder::Group RowGroupEncoder::gather() {
  if (rows_ != 0) throw BridgeError("MR_INTERNAL", "the gathered row group was not encoded");
  while (rows_ < limits_.row_group_rows_max) {
    if ((chunks_.empty() || used_rows_ == chunks_.back().rows()) && !next_chunk()) break;
    const idx_t left = chunks_.back().rows() - used_rows_;
    const idx_t room = limits_.row_group_rows_max - rows_;
    Part part{.chunk = chunks_.size() - 1, .begin = used_rows_, .end = used_rows_ + (left < room ? left : room)};
    const bool fits = bytes_with(part.end - part.begin, text_of(part)) <= limits_.row_group_bytes_max;
    if (!fits) part.end = part.begin + rows_that_fit(part);
    if (part.end > part.begin) take(part);
    if (fits) continue;
    if (rows_ == 0) throw BridgeError("MR_ROW_TOO_LARGE", "a row is larger than " + std::to_string(limits_.row_group_bytes_max >> 20) + " MiB");
    break;
  }
  return {.rows = rows_, .bytes = rows_ == 0 ? 0 : bytes_with(0, std::vector<uint64_t>(plans_.size(), 0))};
}

wire::ChunkRecord RowGroupEncoder::encode_column(size_t column, uint8_t* chunk) const {
  const ColumnPlan& plan = plans_[column];
  wire::ChunkRecord record = chunk_layout(plan.physical, plan.nullable, rows_, text_bytes_[column]);
  ChunkTarget target;
  if (record.validity_bytes != 0) {
    target.validity = chunk + record.validity_offset_bytes;
    std::memset(target.validity, 0, record.validity_bytes);
  }
  if (record.offsets_bytes != 0) target.offsets = reinterpret_cast<int32_t*>(chunk + record.offsets_offset_bytes);
  target.data = chunk + record.data_offset_bytes;
  if (plan.physical == Physical::kBool) std::memset(target.data, 0, record.data_bytes);
  for (const Part& part : parts_) encode_piece(plan, sources_[column], piece(part, column), target);

  record.null_count = target.null_count;
  record.zone_flags = (target.any ? 1u : 0u) | (target.nan ? 2u : 0u);
  if (target.any) {
    switch (plan.physical) {
      case Physical::kUtf8:
        record.zone_flags |= 4;
        record.min_bits = static_cast<int64_t>(target.prefix_min);
        record.max_bits = static_cast<int64_t>(target.prefix_max);
        break;
      case Physical::kF32:
      case Physical::kF64:
        record.min_bits = std::bit_cast<int64_t>(target.float_min);
        record.max_bits = std::bit_cast<int64_t>(target.float_max);
        break;
      default:
        record.min_bits = target.value_min;
        record.max_bits = target.value_max;
    }
  }
  seal_chunk(chunk, record);
  return record;
}

std::vector<wire::ChunkRecord> RowGroupEncoder::encode(uint8_t* out, uint64_t slba) {
  std::vector<wire::ChunkRecord> records;
  uint64_t block = 0;
  for (size_t i = 0; i < plans_.size(); i++) {
    records.push_back(encode_column(i, out + block * kBlockBytes));
    records.back().slba = slba + block;
    block += chunk_blocks(records.back());
  }
  forget();
  return records;
}

void RowGroupEncoder::forget() {
  parts_.clear();
  rows_ = 0;
  text_bytes_.assign(plans_.size(), 0);
  while (chunks_.size() > 1) chunks_.pop_front();
}

uint64_t RowGroupEncoder::dictionary_bytes(size_t column) const {
  const DictionaryIndex& dictionary = *plans_.at(column).dictionary;
  return chunk_blocks(chunk_layout(Physical::kUtf8, false, dictionary.entries(), dictionary.bytes().size())) * kBlockBytes;
}

wire::ChunkRecord RowGroupEncoder::encode_dictionary(size_t column, uint8_t* out, uint64_t slba) const {
  const DictionaryIndex& dictionary = *plans_.at(column).dictionary;
  wire::ChunkRecord record = chunk_layout(Physical::kUtf8, false, dictionary.entries(), dictionary.bytes().size());
  record.slba = slba;
  std::memcpy(out + record.offsets_offset_bytes, dictionary.offsets().data(), record.offsets_bytes);
  std::memcpy(out + record.data_offset_bytes, dictionary.bytes().data(), record.data_bytes);
  seal_chunk(out, record);
  return record;
}

}  // namespace millrace::bridge
