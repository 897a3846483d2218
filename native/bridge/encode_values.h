// Rows of DuckDB vectors into the data buffer of one chunk, with the zone information that falls off on the way.
#pragma once
#include <cstdint>

#include "bridge/encode_plan.h"
#include "bridge/statement.h"

namespace millrace::bridge {

// Rows [begin, end) of one DuckDB vector.
struct Piece {
  const void* data;
  const uint64_t* valid;  // nullptr: every row
  idx_t begin;
  idx_t end;
  idx_t rows() const { return end - begin; }
};

// The chunk being filled. Rows come in order, piece by piece.
struct ChunkTarget {
  uint8_t* validity = nullptr;  // nullptr: column without nulls
  int32_t* offsets = nullptr;
  uint8_t* data = nullptr;
  uint32_t row = 0;
  uint32_t null_count = 0;
  uint32_t text_bytes = 0;
  // Integers, codes, bool: value_min <= value_max once a value was seen. utf8: the first 8 bytes, as unsigned.
  int64_t value_min = INT64_MAX;
  int64_t value_max = INT64_MIN;
  uint64_t prefix_min = UINT64_MAX;
  uint64_t prefix_max = 0;
  double float_min = 0;
  double float_max = 0;
  bool any = false;  // a value that is neither null nor NaN
  bool nan = false;
};

// DuckType of the values as they lie in the vector (decimals: their internal type, dates: kInteger, timestamps: kBigint).
int source_type(const ResultType& type);

// Appends the piece. Throws BridgeError MR_FILE_CHANGED when a value contradicts the plan, MR_INTERNAL when the source type does.
void encode_piece(const ColumnPlan& plan, int source, const Piece& piece, ChunkTarget& target);

// Bytes of the text in rows [begin, end), nulls left out.
uint64_t text_bytes(const Piece& piece);

}  // namespace millrace::bridge
