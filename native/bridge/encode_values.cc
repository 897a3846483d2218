#include "bridge/encode_values.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "bridge/bits.h"
#include "bridge/bridge_error.h"

namespace millrace::bridge {

namespace {

[[noreturn]] void changed(const ColumnPlan& plan) {
  throw BridgeError("MR_FILE_CHANGED", "column " + plan.name + " has other values than a moment ago: the file changed while it was read");
}

// Values are compared in their own type and cast once the bounds are known to fit: the loop stays vectorisable.
template <typename From, typename To>
void encode_integers(const ColumnPlan& plan, const Piece& piece, ChunkTarget& target) {
  const From* from = static_cast<const From*>(piece.data) + piece.begin;
  To* to = reinterpret_cast<To*>(target.data) + target.row;
  const idx_t rows = piece.rows();
  From low = from[0];
  From high = from[0];
  bool any = false;
  if (piece.valid == nullptr) {
    for (idx_t i = 0; i < rows; i++) {
      low = from[i] < low ? from[i] : low;
      high = from[i] > high ? from[i] : high;
      to[i] = static_cast<To>(from[i]);
    }
    any = rows != 0;
  } else {
    for (idx_t i = 0; i < rows; i++) {
      const bool valid = bit_at(piece.valid, piece.begin + i);
      to[i] = valid ? static_cast<To>(from[i]) : To{0};
      if (!valid) continue;
      low = !any || from[i] < low ? from[i] : low;
      high = !any || from[i] > high ? from[i] : high;
      any = true;
    }
  }
  if (!any) return;
  if (!plan.bounded || static_cast<int64_t>(low) < plan.min || static_cast<int64_t>(high) > plan.max) changed(plan);
  if (low < target.value_min) target.value_min = low;
  if (high > target.value_max) target.value_max = high;
  target.any = true;
}

template <typename From>
void encode_integers_to(const ColumnPlan& plan, const Piece& piece, ChunkTarget& target) {
  switch (plan.physical) {
    case Physical::kI8: return encode_integers<From, int8_t>(plan, piece, target);
    case Physical::kI16: return encode_integers<From, int16_t>(plan, piece, target);
    case Physical::kI32: return encode_integers<From, int32_t>(plan, piece, target);
    default: return encode_integers<From, int64_t>(plan, piece, target);
  }
}

template <typename Float>
void encode_floats(const Piece& piece, ChunkTarget& target) {
  const Float* from = static_cast<const Float*>(piece.data) + piece.begin;
  Float* to = reinterpret_cast<Float*>(target.data) + target.row;
  for (idx_t i = 0; i < piece.rows(); i++) {
    const bool valid = piece.valid == nullptr || bit_at(piece.valid, piece.begin + i);
    const Float value = from[i];
    to[i] = valid ? value : Float{0};
    if (!valid) continue;
    if (std::isnan(value)) {
      target.nan = true;
      continue;
    }
    if (!target.any || value < target.float_min) target.float_min = value;
    if (!target.any || value > target.float_max) target.float_max = value;
    target.any = true;
  }
}

void encode_bools(const Piece& piece, ChunkTarget& target) {
  const auto* from = static_cast<const uint8_t*>(piece.data);
  BitWriter writer(target.data, target.row);
  for (idx_t i = piece.begin; i < piece.end; i++) {
    const bool valid = piece.valid == nullptr || bit_at(piece.valid, i);
    const bool value = valid && from[i] != 0;
    writer.put(value, 1);
    if (!valid) continue;
    if (value < target.value_min) target.value_min = value;
    if (value > target.value_max) target.value_max = value;
    target.any = true;
  }
}

// First 8 bytes, big endian, zero filled: unsigned order of these is byte order of the strings, as far as it reaches.
uint64_t prefix_of(const char* bytes, uint32_t length) {
  uint64_t word = 0;
  if (length >= 8) std::memcpy(&word, bytes, 8);
  else std::memcpy(&word, bytes, length);
  return __builtin_bswap64(word);
}

void encode_text(const Piece& piece, ChunkTarget& target) {
  const auto* from = static_cast<const duckdb_string_t*>(piece.data);
  int32_t* ends = target.offsets + target.row + 1;
  if (target.row == 0) target.offsets[0] = 0;
  uint32_t at = target.text_bytes;
  for (idx_t i = piece.begin; i < piece.end; i++) {
    if (piece.valid == nullptr || bit_at(piece.valid, i)) {
      const char* bytes = from[i].bytes();
      const uint32_t length = from[i].length();
      std::memcpy(target.data + at, bytes, length);
      at += length;
      const uint64_t prefix = prefix_of(bytes, length);
      if (prefix < target.prefix_min) target.prefix_min = prefix;
      if (prefix > target.prefix_max) target.prefix_max = prefix;
      target.any = true;
    }
    *ends++ = static_cast<int32_t>(at);
  }
  target.text_bytes = at;
}

template <typename Code>
void encode_codes(const ColumnPlan& plan, const Piece& piece, ChunkTarget& target) {
  const auto* from = static_cast<const duckdb_string_t*>(piece.data);
  Code* to = reinterpret_cast<Code*>(target.data) + target.row;
  for (idx_t i = piece.begin; i < piece.end; i++, to++) {
    *to = 0;
    if (piece.valid != nullptr && !bit_at(piece.valid, i)) continue;
    const int64_t code = plan.dictionary->find(from[i].bytes(), from[i].length());
    if (code < 0) changed(plan);
    *to = static_cast<Code>(code);
    if (code < target.value_min) target.value_min = code;
    if (code > target.value_max) target.value_max = code;
    target.any = true;
  }
}

void encode_validity(const ColumnPlan& plan, const Piece& piece, ChunkTarget& target) {
  if (piece.valid == nullptr) {
    if (target.validity != nullptr) BitWriter(target.validity, target.row).put_ones(piece.rows());
    return;
  }
  BitWriter writer(target.validity, target.row);
  uint32_t nulls = 0;
  for (idx_t at = piece.begin; at < piece.end; at += 64) {
    const auto count = static_cast<unsigned>(piece.end - at < 64 ? piece.end - at : 64);
    const uint64_t bits = bits_at(piece.valid, at, count);
    nulls += count - static_cast<uint32_t>(std::popcount(bits));
    if (target.validity != nullptr) writer.put(bits, count);
  }
  if (nulls != 0 && target.validity == nullptr) changed(plan);
  target.null_count += nulls;
}

void encode_number(const ColumnPlan& plan, int source, const Piece& piece, ChunkTarget& target) {
  switch (source) {
    case kTinyint: return encode_integers_to<int8_t>(plan, piece, target);
    case kSmallint: return encode_integers_to<int16_t>(plan, piece, target);
    case kInteger: return encode_integers_to<int32_t>(plan, piece, target);
    case kBigint: return encode_integers_to<int64_t>(plan, piece, target);
    case kUtinyint: return encode_integers_to<uint8_t>(plan, piece, target);
    case kUsmallint: return encode_integers_to<uint16_t>(plan, piece, target);
    case kUinteger: return encode_integers_to<uint32_t>(plan, piece, target);
    default: throw BridgeError("MR_INTERNAL", "column " + plan.name + " comes in a type that is not an integer");
  }
}

void expect(const ColumnPlan& plan, int source, int wanted) {
  if (source != wanted) throw BridgeError("MR_INTERNAL", "column " + plan.name + " comes in another type than planned");
}

}  // namespace

int source_type(const ResultType& type) {
  switch (type.id) {
    case kDecimal: return type.internal;
    case kDate: return kInteger;
    case kTimestamp:
    case kTimestampTz: return kBigint;
    default: return type.id;
  }
}

void encode_piece(const ColumnPlan& plan, int source, const Piece& piece, ChunkTarget& target) {
  if (piece.rows() == 0) return;
  encode_validity(plan, piece, target);
  switch (plan.physical) {
    case Physical::kBool:
      expect(plan, source, kBoolean);
      encode_bools(piece, target);
      break;
    case Physical::kF32:
      expect(plan, source, kFloat);
      encode_floats<float>(piece, target);
      break;
    case Physical::kF64:
      expect(plan, source, kDouble);
      encode_floats<double>(piece, target);
      break;
    case Physical::kUtf8:
      expect(plan, source, kVarchar);
      encode_text(piece, target);
      break;
    case Physical::kDict8:
    case Physical::kDict16:
    case Physical::kDict32:
      expect(plan, source, kVarchar);
      if (plan.physical == Physical::kDict8) encode_codes<int8_t>(plan, piece, target);
      else if (plan.physical == Physical::kDict16) encode_codes<int16_t>(plan, piece, target);
      else encode_codes<int32_t>(plan, piece, target);
      break;
    default: encode_number(plan, source, piece, target);
  }
  target.row += static_cast<uint32_t>(piece.rows());
}

uint64_t text_bytes(const Piece& piece) {
  const auto* from = static_cast<const duckdb_string_t*>(piece.data);
  uint64_t bytes = 0;
  for (idx_t i = piece.begin; i < piece.end; i++)
    if (piece.valid == nullptr || bit_at(piece.valid, i)) bytes += from[i].length();
  return bytes;
}

}  // namespace millrace::bridge
