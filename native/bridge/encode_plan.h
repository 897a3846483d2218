// What the statistics pass decided about each column, and how its chunks are laid out (ChunkRecord in scan.def).
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bridge/dictionary_index.h"
#include "wire/wire.gen.h"

namespace millrace::bridge {

enum class Physical : uint8_t { kBool, kI8, kI16, kI32, kI64, kF32, kF64, kUtf8, kDict8, kDict16, kDict32 };

struct ColumnPlan {
  std::string name;
  Physical physical = Physical::kI64;
  bool nullable = false;
  // Bounds of the stored value over the whole dataset (integers only). Values outside mean that the file changed between the
  // two passes. bounded is false when every value is null.
  bool bounded = false;
  int64_t min = 0;
  int64_t max = 0;
  std::shared_ptr<const DictionaryIndex> dictionary;  // dictN only
};

// "i8", "utf8", ...; throws BridgeError MR_INTERNAL for any other word.
Physical physical_of(const std::string& word);
// Bytes of one stored value; 0 for bool and utf8.
size_t value_bytes(Physical physical);
inline bool is_dictionary(Physical physical) { return physical >= Physical::kDict8; }

inline constexpr size_t kBlockBytes = 4096;
inline constexpr size_t kBufferAlign = 64;
inline size_t round_up(size_t value, size_t to) { return (value + to - 1) / to * to; }

// Offsets and lengths of a chunk's buffers; everything else of the record is zero. textBytes: utf8 only.
wire::ChunkRecord chunk_layout(Physical physical, bool nullable, uint32_t rows, uint64_t text_bytes);

// Zeroes what lies between and behind the buffers up to the end of the last block, then sets crc32c.
void seal_chunk(uint8_t* chunk, wire::ChunkRecord& record);

inline size_t chunk_blocks(const wire::ChunkRecord& record) { return (record.used_bytes + kBlockBytes - 1) / kBlockBytes; }

}  // namespace millrace::bridge
