#include "bridge/arrow_table.h"

#include "bridge/bridge_error.h"
#include "bridge/utf8_valid.h"

namespace millrace::bridge {

namespace {

[[noreturn]] void invalid(const TableColumn& column, const std::string& what) {
  throw BridgeError("MR_TABLE_INVALID", "column " + column.name + ": " + what);
}

bool valid_at(const Bytes& validity, int64_t row) { return validity.data == nullptr || ((validity.data[row >> 3] >> (row & 7)) & 1); }

template <typename Offset>
void check_text(const TableColumn& column, int64_t rows, const Bytes& offsets, const Bytes& data, bool utf8) {
  if (rows == 0) return;
  if (offsets.size / sizeof(Offset) < static_cast<size_t>(rows) + 1) invalid(column, "its offsets are fewer than its rows");
  const auto* at = reinterpret_cast<const Offset*>(offsets.data);
  if (at[0] < 0) invalid(column, "an offset is negative");
  for (int64_t i = 0; i < rows; i++) {
    if (at[i + 1] < at[i]) invalid(column, "its offsets go back at row " + std::to_string(i));
    if (at[i + 1] - at[i] > INT32_MAX) invalid(column, "row " + std::to_string(i) + " is longer than 2 GiB");
  }
  if (static_cast<uint64_t>(at[rows]) > data.size) invalid(column, "an offset points past its data");
  if (!utf8) return;
  for (int64_t i = 0; i < rows; i++)
    if (!utf8_valid(data.data + at[i], static_cast<size_t>(at[i + 1] - at[i]))) invalid(column, "row " + std::to_string(i) + " is not UTF-8");
}

template <typename Code>
void check_codes(const TableColumn& column, int64_t rows, const Bytes& validity, const Bytes& data) {
  const auto* codes = reinterpret_cast<const Code*>(data.data);
  const auto entries = static_cast<uint64_t>(column.dictionary_offsets.size() - 1);
  for (int64_t i = 0; i < rows; i++)
    // A negative code is a huge one as u64.
    if (valid_at(validity, i) && static_cast<uint64_t>(codes[i]) >= entries) invalid(column, "row " + std::to_string(i) + " has a code outside the dictionary");
}

template <typename Value>
void check_decimal(const TableColumn& column, uint8_t precision, int64_t rows, const Bytes& validity, const Bytes& data) {
  __int128 bound = 1;
  for (int i = 0; i < precision; i++) bound *= 10;
  for (int64_t i = 0; i < rows; i++)
    if (const auto value = value_at<Value>(data, i); (value >= bound || value <= -bound) && valid_at(validity, i)) invalid(column, "row " + std::to_string(i) + " has more digits than its type");
}

void check_codes_of(const TableColumn& column, const TableType& type, int64_t rows, const Bytes& validity, const Bytes& data) {
  switch (type.duck) {
    case kTinyint: return check_codes<int8_t>(column, rows, validity, data);
    case kUtinyint: return check_codes<uint8_t>(column, rows, validity, data);
    case kSmallint: return check_codes<int16_t>(column, rows, validity, data);
    case kUsmallint: return check_codes<uint16_t>(column, rows, validity, data);
    case kInteger: return check_codes<int32_t>(column, rows, validity, data);
    case kUinteger: return check_codes<uint32_t>(column, rows, validity, data);
    case kBigint: return check_codes<int64_t>(column, rows, validity, data);
    case kUbigint: return check_codes<uint64_t>(column, rows, validity, data);
    default: throw BridgeError("MR_TYPE_UNSUPPORTED", "column " + column.name + ": dictionary codes must be integers");
  }
}

void check_column(const TableColumn& column, const TableType& type, int64_t rows, const Bytes* buffers) {
  const auto count = static_cast<size_t>(rows);
  const Bytes& validity = buffers[0];
  const Bytes& data = buffers[1];
  if (validity.data != nullptr && validity.size < (count + 7) / 8) invalid(column, "its validity bitmap is too short");
  if (type.form == TableForm::kText32) return check_text<int32_t>(column, rows, buffers[1], buffers[2], type.utf8);
  if (type.form == TableForm::kText64) return check_text<int64_t>(column, rows, buffers[1], buffers[2], type.utf8);
  const size_t needed = type.form == TableForm::kBits ? (count + 7) / 8 : count * type.value_bytes;
  if (data.size < needed) invalid(column, "its data is too short");
  if (column.has_dictionary) check_codes_of(column, type, rows, validity, data);
  if (type.form != TableForm::kDecimal) return;
  if (type.value_bytes == 4) check_decimal<int32_t>(column, type.precision, rows, validity, data);
  else if (type.value_bytes == 8) check_decimal<int64_t>(column, type.precision, rows, validity, data);
  else check_decimal<__int128>(column, type.precision, rows, validity, data);
}

}  // namespace

ArrowTable::ArrowTable(std::vector<TableColumn> columns, std::vector<TableBatch> batches) : columns_(std::move(columns)), batches_(std::move(batches)) {
  if (columns_.empty()) throw BridgeError("MR_TABLE_INVALID", "a table needs at least one column");
  size_t expected = 0;
  for (const TableColumn& column : columns_) {
    types_.push_back(table_type(column.name, column.format));
    first_buffer_.push_back(expected);
    const TableForm form = types_.back().form;
    expected += form == TableForm::kText32 || form == TableForm::kText64 ? 3 : 2;
  }
  for (const TableBatch& batch : batches_) {
    if (batch.rows < 0 || batch.rows > INT32_MAX) throw BridgeError("MR_TABLE_INVALID", "a batch has an impossible number of rows");
    if (batch.buffers.size() != expected) throw BridgeError("MR_TABLE_INVALID", "a batch has another number of buffers than its columns need");
    for (size_t i = 0; i < columns_.size(); i++) check_column(columns_[i], types_[i], batch.rows, &batch.buffers[first_buffer_[i]]);
    rows_ += static_cast<uint64_t>(batch.rows);
  }
}

}  // namespace millrace::bridge
