// One column of a query result, gathered from DuckDB's chunks into Arrow buffers.
#pragma once
#include <string>
#include <vector>

#include "bridge/byte_buffer.h"
#include "bridge/session.h"
#include "bridge/statement.h"

namespace millrace::bridge {

// Arrow format string of a DuckDB type; empty when the bridge has no flat form for it (the statement then casts it to VARCHAR).
std::string arrow_format(const ResultType& type);

// What a column of one batch becomes. validity is empty when no row is null.
struct ColumnBuffers {
  ByteBuffer validity;
  ByteBuffer offsets;
  ByteBuffer data;
  bool has_offsets = false;
};

class ResultColumn {
 public:
  explicit ResultColumn(const ResultType& type);
  void append(const Chunk& chunk, idx_t column, idx_t rows);
  size_t bytes() const { return buffers_.data.size() + buffers_.offsets.size(); }
  // Hands over the batch gathered so far and starts the next.
  ColumnBuffers finish();

 private:
  void append_validity(const uint64_t* words, idx_t rows);
  void append_text(const duckdb_string_t* values, const uint64_t* valid, idx_t rows);
  void append_bool(const uint8_t* values, const uint64_t* valid, idx_t rows);
  void append_decimal(const void* values, const uint64_t* valid, idx_t rows);

  ResultType type_;
  ColumnBuffers buffers_;
  size_t rows_ = 0;
};

struct ResultBatch {
  size_t rows = 0;
  std::vector<ColumnBuffers> columns;
};

struct QueryResult {
  std::vector<std::string> names;
  std::vector<std::string> formats;
  std::vector<ResultBatch> batches;
};

// Runs one statement. Types without a flat Arrow form (nested, interval, uuid, enum, ...) come as VARCHAR.
QueryResult run_query(Session& session, const std::string& sql);

}  // namespace millrace::bridge
