// The Arrow formats a registered table may have, and how each becomes a DuckDB type.
#pragma once
#include <cstdint>
#include <string>

#include "bridge/duckdb_api.h"

namespace millrace::bridge {

// How a column's values lie in its buffers.
enum class TableForm : uint8_t {
  kBits,       // bool bitmap
  kFixed,      // values of valueBytes, as DuckDB keeps them
  kDecimal,    // valueBytes (4, 8 or 16) in, DuckDB's width for the precision out
  kScaled,     // i64 times or divided by `scale` (timestamps with a zone are microseconds in DuckDB, date64 is days)
  kText32,     // 32-bit offsets and bytes
  kText64,     // 64-bit offsets and bytes
};

struct TableType {
  TableForm form = TableForm::kFixed;
  int duck = 0;         // DuckType
  uint8_t value_bytes = 0;
  uint8_t precision = 0;
  uint8_t scale = 0;
  bool utf8 = false;
  int64_t multiply = 1;  // kScaled
  int64_t divide = 1;    // kScaled
};

// c C s S i I l L f g b u U z Z, d:P,S[,32|64|128], tdD tdm, tts ttm ttu ttn, tss: tsm: tsu: tsn: (with or without zone).
// Throws BridgeError MR_TYPE_UNSUPPORTED naming the column.
TableType table_type(const std::string& column, const std::string& format);

// Caller destroys.
duckdb_logical_type logical_type_of(const DuckApi& api, const TableType& type);

}  // namespace millrace::bridge
