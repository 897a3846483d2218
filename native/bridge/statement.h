// Owners of DuckDB's prepared statements, results and data chunks.
#pragma once
#include <functional>
#include <string>

#include "bridge/duckdb_api.h"

namespace millrace::bridge {

// One vector-sized piece of a result, flat vectors only.
class Chunk {
 public:
  Chunk(const DuckApi& api, duckdb_data_chunk chunk) : api_(&api), chunk_(chunk) {}
  // One that DuckDB keeps: it is there during the call that brought it.
  static Chunk borrowed(const DuckApi& api, duckdb_data_chunk chunk) {
    Chunk out(api, chunk);
    out.owned_ = false;
    return out;
  }
  Chunk(Chunk&& other) noexcept : api_(other.api_), chunk_(other.chunk_), owned_(other.owned_) { other.chunk_ = nullptr; }
  Chunk& operator=(Chunk&&) = delete;
  ~Chunk() {
    if (owned_ && chunk_ != nullptr) api_->duckdb_destroy_data_chunk(&chunk_);
  }
  explicit operator bool() const { return chunk_ != nullptr; }
  idx_t rows() const { return api_->duckdb_data_chunk_get_size(chunk_); }
  const void* data(idx_t column) const { return api_->duckdb_vector_get_data(api_->duckdb_data_chunk_get_vector(chunk_, column)); }
  // Bit 1 = valid; nullptr: every row is.
  const uint64_t* validity(idx_t column) const { return api_->duckdb_vector_get_validity(api_->duckdb_data_chunk_get_vector(chunk_, column)); }

 private:
  const DuckApi* api_;
  duckdb_data_chunk chunk_;
  bool owned_ = true;
};

struct ResultType {
  int id = 0;        // DuckType
  int internal = 0;  // decimals: kSmallint .. kHugeint
  uint8_t precision = 0;
  uint8_t scale = 0;
};

class Result {
 public:
  Result(const DuckApi& api, duckdb_result result) : api_(&api), result_(result) {}
  Result(Result&& other) noexcept : api_(other.api_), result_(other.result_) { other.result_ = {}; }
  Result& operator=(Result&&) = delete;
  ~Result() { api_->duckdb_destroy_result(&result_); }
  // Empty chunk at the end. Throws BridgeError when the statement failed on the way.
  Chunk fetch();
  idx_t columns() { return api_->duckdb_column_count(&result_); }
  std::string name(idx_t column) { return api_->duckdb_column_name(&result_, column); }
  ResultType type(idx_t column);

 private:
  const DuckApi* api_;
  duckdb_result result_;
};

class Statement {
 public:
  // Parses and binds one statement. Throws BridgeError.
  Statement(const DuckApi& api, duckdb_connection connection, const std::string& sql);
  ~Statement() { api_.duckdb_destroy_prepare(&prepared_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  // The whole result is there when it returns. `stopped` is asked once the statement can be interrupted: an interrupt that
  // came earlier would be lost, since DuckDB forgets it when a statement begins.
  Result execute(const std::function<bool()>& stopped = [] { return false; });
  // Rows are produced while they are fetched, in the order of the statement, by all threads of the instance.
  Result stream();
  duckdb_prepared_statement handle() const { return prepared_; }

 private:
  Result run(duckdb_state made, duckdb_pending_result pending);

  const DuckApi& api_;
  duckdb_connection connection_;
  duckdb_prepared_statement prepared_ = nullptr;
};

}  // namespace millrace::bridge
