#include "bridge/result_column.h"

#include "bridge/bits.h"
#include "bridge/bridge_error.h"

namespace millrace::bridge {

namespace {

struct Fixed {
  const char* format;
  size_t bytes;
};

// Types whose values go over as they lie. Format nullptr: not one of these.
Fixed fixed_form(int id) {
  switch (id) {
    case kTinyint: return {"c", 1};
    case kSmallint: return {"s", 2};
    case kInteger: return {"i", 4};
    case kBigint: return {"l", 8};
    case kUtinyint: return {"C", 1};
    case kUsmallint: return {"S", 2};
    case kUinteger: return {"I", 4};
    case kUbigint: return {"L", 8};
    case kHugeint: return {"d:38,0", 16};
    case kFloat: return {"f", 4};
    case kDouble: return {"g", 8};
    case kDate: return {"tdD", 4};
    case kTime: return {"ttu", 8};
    case kTimestamp: return {"tsu:", 8};
    case kTimestampTz: return {"tsu:UTC", 8};
    case kTimestampS: return {"tss:", 8};
    case kTimestampMs: return {"tsm:", 8};
    case kTimestampNs: return {"tsn:", 8};
    default: return {nullptr, 0};
  }
}

// Null slots hold whatever DuckDB left there; they leave as zeros so that equal results are equal bytes.
template <typename T, typename From>
void copy_fixed(ByteBuffer& out, const void* from, const uint64_t* valid, idx_t rows) {
  const auto* source = static_cast<const From*>(from);
  auto* target = reinterpret_cast<T*>(out.extend(rows * sizeof(T)));
  if (valid == nullptr) {
    for (idx_t i = 0; i < rows; i++) target[i] = source[i];
  } else {
    for (idx_t i = 0; i < rows; i++) target[i] = bit_at(valid, i) ? static_cast<T>(source[i]) : T{};
  }
}

constexpr size_t kBatchRowsMax = 122'880;
constexpr size_t kBatchBytesMax = size_t{64} << 20;

}  // namespace

std::string arrow_format(const ResultType& type) {
  if (const Fixed form = fixed_form(type.id); form.format != nullptr) return form.format;
  switch (type.id) {
    case kBoolean: return "b";
    case kVarchar: return "u";
    case kBlob: return "z";
    case kDecimal: return "d:" + std::to_string(type.precision) + "," + std::to_string(type.scale);
    default: return "";
  }
}

ResultColumn::ResultColumn(const ResultType& type) : type_(type) {}

void ResultColumn::append(const Chunk& chunk, idx_t column, idx_t rows) {
  const void* values = chunk.data(column);
  const uint64_t* valid = chunk.validity(column);
  append_validity(valid, rows);
  switch (type_.id) {
    case kBoolean: append_bool(static_cast<const uint8_t*>(values), valid, rows); break;
    case kVarchar:
    case kBlob: append_text(static_cast<const duckdb_string_t*>(values), valid, rows); break;
    case kDecimal: append_decimal(values, valid, rows); break;
    default:
      switch (fixed_form(type_.id).bytes) {
        case 1: copy_fixed<uint8_t, uint8_t>(buffers_.data, values, valid, rows); break;
        case 2: copy_fixed<uint16_t, uint16_t>(buffers_.data, values, valid, rows); break;
        case 4: copy_fixed<uint32_t, uint32_t>(buffers_.data, values, valid, rows); break;
        case 8: copy_fixed<uint64_t, uint64_t>(buffers_.data, values, valid, rows); break;
        default: copy_fixed<__int128, __int128>(buffers_.data, values, valid, rows); break;
      }
  }
  rows_ += rows;
}

void ResultColumn::append_validity(const uint64_t* words, idx_t rows) {
  ByteBuffer& validity = buffers_.validity;
  const size_t before = validity.size();
  if (words == nullptr && before == 0) return;
  const size_t needed = bitmap_bytes(rows_ + rows);
  // A bitmap that starts late: all rows so far were valid.
  std::memset(validity.extend(needed - before), 0, needed - before);
  if (before == 0 && rows_ != 0) BitWriter(validity.data()).put_ones(rows_);
  BitWriter writer(validity.data(), rows_);
  if (words == nullptr) {
    writer.put_ones(rows);
  } else {
    for (idx_t at = 0; at < rows; at += 64) {
      const auto count = static_cast<unsigned>(rows - at < 64 ? rows - at : 64);
      writer.put(bits_at(words, at, count), count);
    }
  }
}

void ResultColumn::append_bool(const uint8_t* values, const uint64_t* valid, idx_t rows) {
  const size_t before = buffers_.data.size();
  const size_t needed = bitmap_bytes(rows_ + rows);
  std::memset(buffers_.data.extend(needed - before), 0, needed - before);
  BitWriter writer(buffers_.data.data(), rows_);
  for (idx_t i = 0; i < rows; i++) writer.put(values[i] != 0 && (valid == nullptr || bit_at(valid, i)), 1);
}

void ResultColumn::append_text(const duckdb_string_t* values, const uint64_t* valid, idx_t rows) {
  ByteBuffer& offsets = buffers_.offsets;
  if (offsets.size() == 0) {
    buffers_.has_offsets = true;
    std::memset(offsets.extend(4), 0, 4);
  }
  auto* ends = reinterpret_cast<int32_t*>(offsets.extend(rows * 4));
  for (idx_t i = 0; i < rows; i++) {
    if (valid == nullptr || bit_at(valid, i)) buffers_.data.append(values[i].bytes(), values[i].length());
    if (buffers_.data.size() > INT32_MAX) throw BridgeError("MR_RESULT_TOO_LARGE", "2048 values of one text column are longer than 2 GiB together");
    ends[i] = static_cast<int32_t>(buffers_.data.size());
  }
}

void ResultColumn::append_decimal(const void* values, const uint64_t* valid, idx_t rows) {
  ByteBuffer& data = buffers_.data;
  switch (type_.internal) {
    case kSmallint: copy_fixed<__int128, int16_t>(data, values, valid, rows); break;
    case kInteger: copy_fixed<__int128, int32_t>(data, values, valid, rows); break;
    case kBigint: copy_fixed<__int128, int64_t>(data, values, valid, rows); break;
    default: copy_fixed<__int128, __int128>(data, values, valid, rows); break;
  }
}

ColumnBuffers ResultColumn::finish() {
  rows_ = 0;
  return std::exchange(buffers_, ColumnBuffers{});
}

namespace {

// The statement itself, or the same rows with each column that has no flat form cast to VARCHAR. Empty: nothing to cast.
std::string with_casts(const DuckApi& api, duckdb_prepared_statement prepared, const std::string& sql) {
  const idx_t columns = api.duckdb_prepared_statement_column_count(prepared);
  std::string list;
  std::string names;
  bool any = false;
  for (idx_t i = 0; i < columns; i++) {
    const int id = api.duckdb_prepared_statement_column_type(prepared, i);
    const bool cast = id != 0 && arrow_format({.id = id, .internal = 0, .precision = 0, .scale = 0}).empty();
    const std::string name = std::string(1, 'c').append(std::to_string(i));
    any |= cast;
    if (i != 0) {
      names.append(", ");
      list.append(", ");
    }
    names.append(name);
    list.append(cast ? "CAST(" : "").append(name).append(cast ? " AS VARCHAR)" : "");
  }
  if (!any || api.duckdb_prepared_statement_type(prepared) != kStatementSelect) return "";
  const size_t end = sql.find_last_not_of(" \t\r\n;");
  // The line break ends a trailing comment.
  std::string out = "SELECT ";
  out.append(list).append(" FROM (").append(sql, 0, end + 1).append("\n) AS t(").append(names).append(")");
  return out;
}

QueryResult run_once(Session& session, const std::string& sql) {
  const DuckApi& api = session.api();
  const duckdb_connection connection = session.connection();
  const auto stopped = [&session] { return session.interrupted(); };
  if (stopped()) throw BridgeError("MR_SQL_INTERRUPTED", "interrupted before it began");
  QueryResult out;
  Statement statement(api, connection, sql);
  const idx_t count = api.duckdb_prepared_statement_column_count(statement.handle());
  for (idx_t i = 0; i < count; i++) {
    // LIFETIME: the name is the caller's to free.
    const char* name = api.duckdb_prepared_statement_column_name(statement.handle(), i);
    out.names.emplace_back(name != nullptr ? name : "");
    api.duckdb_free(const_cast<char*>(name));
  }
  const std::string rewritten = with_casts(api, statement.handle(), sql);
  Result result = rewritten.empty() ? statement.execute(stopped) : Statement(api, connection, rewritten).execute(stopped);
  const idx_t columns = result.columns();
  std::vector<ResultColumn> gathered;
  for (idx_t i = 0; i < columns; i++) {
    const ResultType type = result.type(i);
    if (i >= out.names.size()) out.names.push_back(result.name(i));
    out.formats.push_back(arrow_format(type));
    if (out.formats.back().empty()) throw BridgeError("MR_SQL_UNSUPPORTED", "column " + out.names[i] + " has a type that cannot leave DuckDB; cast it to VARCHAR");
    gathered.emplace_back(type);
  }
  out.names.resize(columns);
  size_t rows = 0;
  const auto close_batch = [&] {
    ResultBatch batch{.rows = rows, .columns = {}};
    for (ResultColumn& column : gathered) batch.columns.push_back(column.finish());
    out.batches.push_back(std::move(batch));
    rows = 0;
  };
  while (Chunk chunk = result.fetch()) {
    const idx_t more = chunk.rows();
    if (more == 0) continue;
    size_t bytes = 0;
    for (const ResultColumn& column : gathered) bytes += column.bytes();
    if (rows != 0 && (rows + more > kBatchRowsMax || bytes > kBatchBytesMax)) close_batch();
    for (idx_t i = 0; i < columns; i++) gathered[i].append(chunk, i, more);
    rows += more;
  }
  if (rows != 0) close_batch();
  return out;
}

}  // namespace

QueryResult run_query(Session& session, const std::string& sql) {
  for (int asked = 0; asked < kAskForCauseMax; asked++) {
    try {
      return run_once(session, sql);
    } catch (const BridgeError& error) {
      if (!says_interrupted(error) || session.interrupted()) throw;
    }
  }
  throw cause_untold();
}

}  // namespace millrace::bridge
