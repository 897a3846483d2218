#include "bridge/encode_plan.h"

#include <cstring>

#include "bridge/bits.h"
#include "bridge/bridge_error.h"
#include "core/crc32c.h"

namespace millrace::bridge {

namespace {
struct Word {
  const char* word;
  Physical physical;
  size_t bytes;
};
constexpr Word kWords[] = {
    {"bool", Physical::kBool, 0}, {"i8", Physical::kI8, 1},       {"i16", Physical::kI16, 2},     {"i32", Physical::kI32, 4},
    {"i64", Physical::kI64, 8},   {"f32", Physical::kF32, 4},     {"f64", Physical::kF64, 8},     {"utf8", Physical::kUtf8, 0},
    {"dict8", Physical::kDict8, 1}, {"dict16", Physical::kDict16, 2}, {"dict32", Physical::kDict32, 4},
};
}  // namespace

Physical physical_of(const std::string& word) {
  for (const Word& known : kWords)
    if (word == known.word) return known.physical;
  throw BridgeError("MR_INTERNAL", "no physical type is called " + word);
}

size_t value_bytes(Physical physical) {
  for (const Word& known : kWords)
    if (physical == known.physical) return known.bytes;
  return 0;
}

wire::ChunkRecord chunk_layout(Physical physical, bool nullable, uint32_t rows, uint64_t text_bytes) {
  wire::ChunkRecord record{};
  record.rows = rows;
  uint64_t at = 0;
  const auto place = [&at](uint64_t bytes, uint32_t& offset, uint32_t& length) {
    if (bytes == 0) return;
    offset = static_cast<uint32_t>(at);
    length = static_cast<uint32_t>(bytes);
    at = round_up(at + bytes, kBufferAlign);
  };
  if (nullable) place(bitmap_bytes(rows), record.validity_offset_bytes, record.validity_bytes);
  if (physical == Physical::kUtf8) {
    place((uint64_t{rows} + 1) * 4, record.offsets_offset_bytes, record.offsets_bytes);
    place(text_bytes, record.data_offset_bytes, record.data_bytes);
  } else {
    place(physical == Physical::kBool ? bitmap_bytes(rows) : rows * value_bytes(physical), record.data_offset_bytes, record.data_bytes);
  }
  record.used_bytes = at;
  return record;
}

void seal_chunk(uint8_t* chunk, wire::ChunkRecord& record) {
  const auto clear_behind = [&](uint32_t offset, uint32_t bytes) {
    if (bytes != 0) std::memset(chunk + offset + bytes, 0, round_up(offset + bytes, kBufferAlign) - offset - bytes);
  };
  clear_behind(record.validity_offset_bytes, record.validity_bytes);
  clear_behind(record.offsets_offset_bytes, record.offsets_bytes);
  clear_behind(record.data_offset_bytes, record.data_bytes);
  std::memset(chunk + record.used_bytes, 0, chunk_blocks(record) * kBlockBytes - record.used_bytes);
  record.crc32c = crc32c(chunk, record.used_bytes);
}

}  // namespace millrace::bridge
