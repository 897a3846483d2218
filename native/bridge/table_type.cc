#include "bridge/table_type.h"

#include <charconv>

#include "bridge/bridge_error.h"

namespace millrace::bridge {

namespace {

TableType fixed(int duck, uint8_t bytes) { return {.form = TableForm::kFixed, .duck = duck, .value_bytes = bytes}; }
TableType text(TableForm form, int duck) { return {.form = form, .duck = duck, .utf8 = duck == kVarchar}; }
TableType scaled(int duck, int64_t multiply, int64_t divide) {
  return {.form = TableForm::kScaled, .duck = duck, .value_bytes = 8, .multiply = multiply, .divide = divide};
}

// "P,S" or "P,S,BITS"; false when it is anything else.
bool read_decimal(const std::string& words, TableType& out) {
  int numbers[3] = {0, 0, 128};
  const char* at = words.data();
  const char* end = at + words.size();
  for (int i = 0; i < 3; i++) {
    const auto [next, error] = std::from_chars(at, end, numbers[i]);
    if (error != std::errc()) return false;
    at = next;
    if (at == end) {
      if (i == 0) return false;
      break;
    }
    if (*at++ != ',' || i == 2) return false;
  }
  const int bits = numbers[2];
  if (numbers[0] < 1 || numbers[0] > 38 || numbers[1] < 0 || numbers[1] > numbers[0]) return false;
  if (bits != 32 && bits != 64 && bits != 128) return false;
  out = {.form = TableForm::kDecimal, .duck = kDecimal, .value_bytes = static_cast<uint8_t>(bits / 8), .precision = static_cast<uint8_t>(numbers[0]), .scale = static_cast<uint8_t>(numbers[1])};
  return true;
}

}  // namespace

TableType table_type(const std::string& column, const std::string& format) {
  if (format.size() == 1) {
    switch (format[0]) {
      case 'b': return {.form = TableForm::kBits, .duck = kBoolean};
      case 'c': return fixed(kTinyint, 1);
      case 'C': return fixed(kUtinyint, 1);
      case 's': return fixed(kSmallint, 2);
      case 'S': return fixed(kUsmallint, 2);
      case 'i': return fixed(kInteger, 4);
      case 'I': return fixed(kUinteger, 4);
      case 'l': return fixed(kBigint, 8);
      case 'L': return fixed(kUbigint, 8);
      case 'f': return fixed(kFloat, 4);
      case 'g': return fixed(kDouble, 8);
      case 'u': return text(TableForm::kText32, kVarchar);
      case 'U': return text(TableForm::kText64, kVarchar);
      case 'z': return text(TableForm::kText32, kBlob);
      case 'Z': return text(TableForm::kText64, kBlob);
      default: break;
    }
  }
  if (format == "tdD") return fixed(kDate, 4);
  if (format == "tdm") return scaled(kDate, 1, 86'400'000);
  if (format == "ttu") return fixed(kTime, 8);
  if (TableType type; format.starts_with("d:") && read_decimal(format.substr(2), type)) return type;
  if (format.size() >= 4 && format.starts_with("ts") && format[3] == ':') {
    const bool zone = format.size() > 4;
    switch (format[2]) {
      case 's': return zone ? scaled(kTimestampTz, 1'000'000, 1) : fixed(kTimestampS, 8);
      case 'm': return zone ? scaled(kTimestampTz, 1'000, 1) : fixed(kTimestampMs, 8);
      case 'u': return fixed(zone ? kTimestampTz : kTimestamp, 8);
      case 'n': return zone ? scaled(kTimestampTz, 1, 1'000) : fixed(kTimestampNs, 8);
      default: break;
    }
  }
  throw BridgeError("MR_TYPE_UNSUPPORTED", "column " + column + " has the Arrow format " + format + ", which has no flat form here");
}

duckdb_logical_type logical_type_of(const DuckApi& api, const TableType& type) {
  return type.duck == kDecimal ? api.duckdb_create_decimal_type(type.precision, type.scale) : api.duckdb_create_logical_type(type.duck);
}

}  // namespace millrace::bridge
