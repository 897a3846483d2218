#include "bridge/table_vector.h"

#include <cstring>

#include "bridge/bits.h"
#include "bridge/bridge_error.h"

namespace millrace::bridge {

namespace {

bool bit(const uint8_t* bytes, int64_t at) { return (bytes[at >> 3] >> (at & 7)) & 1; }

duckdb_string_t string_at(const char* bytes, uint32_t length) {
  duckdb_string_t out{};
  out.in.length = length;
  if (length <= 12) {
    std::memcpy(out.in.bytes, bytes, length);
  } else {
    std::memcpy(out.out.prefix, bytes, 4);
    out.out.bytes = bytes;
  }
  return out;
}

template <typename Offset>
void fill_text(const Bytes& offsets, const Bytes& data, int64_t from, int64_t rows, duckdb_string_t* out) {
  const auto* at = reinterpret_cast<const Offset*>(offsets.data) + from;
  const auto* bytes = reinterpret_cast<const char*>(data.data);
  for (int64_t i = 0; i < rows; i++) out[i] = string_at(bytes + at[i], static_cast<uint32_t>(at[i + 1] - at[i]));
}

// Codes of null rows may be anything: they become the empty string.
template <typename Code>
void fill_codes(const TableColumn& column, const Bytes& data, int64_t from, int64_t rows, duckdb_string_t* out) {
  const auto* codes = reinterpret_cast<const Code*>(data.data) + from;
  const uint64_t entries = column.dictionary_offsets.size() - 1;
  for (int64_t i = 0; i < rows; i++) {
    const auto code = static_cast<uint64_t>(codes[i]);
    if (code >= entries) out[i] = {};
    else out[i] = string_at(column.dictionary_bytes.data() + column.dictionary_offsets[code], static_cast<uint32_t>(column.dictionary_offsets[code + 1] - column.dictionary_offsets[code]));
  }
}

void fill_dictionary(const TableColumn& column, int duck, const Bytes& data, int64_t from, int64_t rows, duckdb_string_t* out) {
  switch (duck) {
    case kTinyint: return fill_codes<int8_t>(column, data, from, rows, out);
    case kUtinyint: return fill_codes<uint8_t>(column, data, from, rows, out);
    case kSmallint: return fill_codes<int16_t>(column, data, from, rows, out);
    case kUsmallint: return fill_codes<uint16_t>(column, data, from, rows, out);
    case kInteger: return fill_codes<int32_t>(column, data, from, rows, out);
    case kUinteger: return fill_codes<uint32_t>(column, data, from, rows, out);
    case kBigint: return fill_codes<int64_t>(column, data, from, rows, out);
    default: return fill_codes<uint64_t>(column, data, from, rows, out);
  }
}

template <typename In, typename Out>
void narrow(const Bytes& data, int64_t from, int64_t rows, void* out) {
  auto* target = static_cast<Out*>(out);
  for (int64_t i = 0; i < rows; i++) target[i] = static_cast<Out>(value_at<In>(data, from + i));
}

template <typename In>
void fill_decimal(const TableType& type, const Bytes& data, int64_t from, int64_t rows, void* out) {
  // DuckDB's own widths by precision; the table checked that the values fit.
  if (type.precision <= 4) narrow<In, int16_t>(data, from, rows, out);
  else if (type.precision <= 9) narrow<In, int32_t>(data, from, rows, out);
  else if (type.precision <= 18) narrow<In, int64_t>(data, from, rows, out);
  else narrow<In, __int128>(data, from, rows, out);
}

void fill_scaled(const TableColumn& column, const TableType& type, const Bytes& data, const Bytes& validity, int64_t from, int64_t rows, void* out) {
  const auto* values = reinterpret_cast<const int64_t*>(data.data) + from;
  for (int64_t i = 0; i < rows; i++) {
    int64_t value;
    const bool overflow = __builtin_mul_overflow(values[i], type.multiply, &value);
    // Rounds down, so that an instant before 1970 keeps its day and microsecond.
    int64_t divided = value / type.divide;
    if (value % type.divide < 0) divided--;
    const bool too_far = overflow || (type.duck == kDate && (divided < INT32_MIN || divided > INT32_MAX));
    if (too_far && (validity.data == nullptr || bit(validity.data, from + i))) throw BridgeError("MR_TABLE_INVALID", "column " + column.name + ": a point in time is out of range");
    if (type.duck == kDate) static_cast<int32_t*>(out)[i] = static_cast<int32_t>(divided);
    else static_cast<int64_t*>(out)[i] = divided;
  }
}

void fill_validity(const DuckApi& api, const Bytes& validity, int64_t from, int64_t rows, duckdb_vector vector) {
  if (validity.data == nullptr) return;
  api.duckdb_vector_ensure_validity_writable(vector);
  auto* words = reinterpret_cast<uint8_t*>(api.duckdb_vector_get_validity(vector));
  const size_t whole = static_cast<size_t>(rows);
  if ((from & 7) == 0) {
    std::memcpy(words, validity.data + (from >> 3), bitmap_bytes(whole));
    return;
  }
  std::memset(words, 0, bitmap_bytes(whole));
  BitWriter writer(words);
  for (int64_t i = 0; i < rows; i++) writer.put(bit(validity.data, from + i), 1);
}

}  // namespace

void fill_vector(const DuckApi& api, const ArrowTable& table, size_t column, const TableBatch& batch, int64_t from, int64_t rows, duckdb_vector vector) {
  const TableColumn& description = table.columns()[column];
  const TableType& type = table.type(column);
  const Bytes* buffers = &batch.buffers[table.first_buffer(column)];
  const Bytes& data = buffers[1];
  void* out = api.duckdb_vector_get_data(vector);
  fill_validity(api, buffers[0], from, rows, vector);
  if (description.has_dictionary) return fill_dictionary(description, type.duck, data, from, rows, static_cast<duckdb_string_t*>(out));
  switch (type.form) {
    case TableForm::kBits:
      for (int64_t i = 0; i < rows; i++) static_cast<uint8_t*>(out)[i] = bit(data.data, from + i);
      return;
    case TableForm::kFixed:
      std::memcpy(out, data.data + from * type.value_bytes, static_cast<size_t>(rows) * type.value_bytes);
      return;
    case TableForm::kDecimal:
      if (type.value_bytes == 4) return fill_decimal<int32_t>(type, data, from, rows, out);
      if (type.value_bytes == 8) return fill_decimal<int64_t>(type, data, from, rows, out);
      return fill_decimal<__int128>(type, data, from, rows, out);
    case TableForm::kScaled: return fill_scaled(description, type, data, buffers[0], from, rows, out);
    case TableForm::kText32: return fill_text<int32_t>(data, buffers[2], from, rows, static_cast<duckdb_string_t*>(out));
    case TableForm::kText64: return fill_text<int64_t>(data, buffers[2], from, rows, static_cast<duckdb_string_t*>(out));
  }
}

}  // namespace millrace::bridge
