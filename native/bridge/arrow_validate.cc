// What DuckDB would trust of an Arrow table, checked once when it is registered: the buffers may come from a hostile file.
#include <string>

#include "bridge/arrow_table.h"
#include "bridge/bridge_error.h"
#include "bridge/utf8_valid.h"

namespace millrace::bridge {

namespace {

[[noreturn]] void invalid(const TableColumn& column, const std::string& what) {
  throw BridgeError("MR_TABLE_INVALID", "column " + column.name + ": " + what);
}

// Bytes of one value; 0: bits; -1: text with 32-bit offsets; -2: text with 64-bit offsets.
int value_bytes(const TableColumn& column) {
  const std::string& f = column.format;
  if (f.size() == 1) {
    switch (f[0]) {
      case 'b': return 0;
      case 'c': case 'C': return 1;
      case 's': case 'S': return 2;
      case 'i': case 'I': case 'f': return 4;
      case 'l': case 'L': case 'g': return 8;
      case 'u': case 'z': return -1;
      case 'U': case 'Z': return -2;
      default: break;
    }
  }
  if (f.starts_with("d:") && f.find(',') == f.rfind(',')) return 16;
  if (f == "tdD" || f == "tts" || f == "ttm") return 4;
  if (f == "tdm" || f == "ttu" || f == "ttn") return 8;
  if (f.size() >= 4 && f.starts_with("ts") && f[3] == ':') return 8;
  throw BridgeError("MR_TYPE_UNSUPPORTED", "column " + column.name + " has the Arrow format " + f + ", which has no flat form here");
}

template <typename Offset>
void check_text(const TableColumn& column, int64_t rows, const Bytes& offsets, const Bytes& data, bool utf8) {
  if (rows == 0) return;
  if (offsets.size / sizeof(Offset) < static_cast<size_t>(rows) + 1) invalid(column, "its offsets are fewer than its rows");
  const auto* at = reinterpret_cast<const Offset*>(offsets.data);
  if (at[0] < 0) invalid(column, "an offset is negative");
  for (int64_t i = 0; i < rows; i++)
    if (at[i + 1] < at[i]) invalid(column, "its offsets go back at row " + std::to_string(i));
  if (static_cast<uint64_t>(at[rows]) > data.size) invalid(column, "an offset points past its data");
  if (!utf8) return;
  for (int64_t i = 0; i < rows; i++)
    if (!utf8_valid(data.data + at[i], static_cast<size_t>(at[i + 1] - at[i]))) invalid(column, "row " + std::to_string(i) + " is not UTF-8");
}

template <typename Code>
void check_codes(const TableColumn& column, int64_t rows, const Bytes& validity, const Bytes& data) {
  const auto* codes = reinterpret_cast<const Code*>(data.data);
  const auto entries = static_cast<uint64_t>(column.dictionary_offsets.size() - 1);
  for (int64_t i = 0; i < rows; i++) {
    const bool valid = validity.data == nullptr || ((validity.data[i >> 3] >> (i & 7)) & 1);
    // A negative code is a huge one as u64.
    if (valid && static_cast<uint64_t>(codes[i]) >= entries) invalid(column, "row " + std::to_string(i) + " has a code outside the dictionary");
  }
}

void check_codes_of(const TableColumn& column, int64_t rows, const Bytes& validity, const Bytes& data) {
  switch (column.format[0]) {
    case 'c': return check_codes<int8_t>(column, rows, validity, data);
    case 'C': return check_codes<uint8_t>(column, rows, validity, data);
    case 's': return check_codes<int16_t>(column, rows, validity, data);
    case 'S': return check_codes<uint16_t>(column, rows, validity, data);
    case 'i': return check_codes<int32_t>(column, rows, validity, data);
    case 'I': return check_codes<uint32_t>(column, rows, validity, data);
    case 'l': return check_codes<int64_t>(column, rows, validity, data);
    case 'L': return check_codes<uint64_t>(column, rows, validity, data);
    default: throw BridgeError("MR_TYPE_UNSUPPORTED", "column " + column.name + ": dictionary codes must be integers");
  }
}

}  // namespace

size_t ArrowTable::buffer_count(const TableColumn& column) {
  return column.format == "u" || column.format == "U" || column.format == "z" || column.format == "Z" ? 3 : 2;
}

void ArrowTable::validate() const {
  if (columns_.empty()) throw BridgeError("MR_TABLE_INVALID", "a table needs at least one column");
  size_t expected = 0;
  for (const TableColumn& column : columns_) {
    value_bytes(column);
    expected += buffer_count(column);
  }
  for (const TableBatch& batch : batches_) {
    if (batch.rows < 0 || batch.rows > INT32_MAX) throw BridgeError("MR_TABLE_INVALID", "a batch has an impossible number of rows");
    if (batch.buffers.size() != expected) throw BridgeError("MR_TABLE_INVALID", "a batch has another number of buffers than its columns need");
    size_t at = 0;
    for (const TableColumn& column : columns_) {
      const auto rows = static_cast<size_t>(batch.rows);
      const Bytes& validity = batch.buffers[at];
      if (validity.data != nullptr && validity.size < (rows + 7) / 8) invalid(column, "its validity bitmap is too short");
      const int width = value_bytes(column);
      const Bytes& second = batch.buffers[at + 1];
      if (width == -1) check_text<int32_t>(column, batch.rows, second, batch.buffers[at + 2], column.format == "u");
      else if (width == -2) check_text<int64_t>(column, batch.rows, second, batch.buffers[at + 2], column.format == "U");
      else if (second.size < (width == 0 ? (rows + 7) / 8 : rows * static_cast<size_t>(width))) invalid(column, "its data is too short");
      if (column.has_dictionary) check_codes_of(column, batch.rows, validity, second);
      at += buffer_count(column);
    }
  }
}

}  // namespace millrace::bridge
