#include "bridge/statement.h"

#include "bridge/bridge_error.h"

namespace millrace::bridge {

namespace {
BridgeError from_duckdb(const char* message) { return BridgeError(kFromDuckDB, message != nullptr ? message : "DuckDB failed without a word"); }
}  // namespace

Chunk Result::fetch() {
  Chunk chunk(*api_, api_->duckdb_fetch_chunk(result_));
  if (!chunk) {
    const char* message = api_->duckdb_result_error(&result_);
    if (message != nullptr && *message != '\0') throw from_duckdb(message);
  }
  return chunk;
}

ResultType Result::type(idx_t column) {
  duckdb_logical_type logical = api_->duckdb_column_logical_type(&result_, column);
  ResultType type;
  type.id = api_->duckdb_get_type_id(logical);
  if (type.id == kDecimal) {
    type.internal = api_->duckdb_decimal_internal_type(logical);
    type.precision = api_->duckdb_decimal_width(logical);
    type.scale = api_->duckdb_decimal_scale(logical);
  }
  api_->duckdb_destroy_logical_type(&logical);
  return type;
}

Statement::Statement(const DuckApi& api, duckdb_connection connection, const std::string& sql) : api_(api), connection_(connection) {
  if (api_.duckdb_prepare(connection_, sql.c_str(), &prepared_) != kDuckSuccess) {
    const BridgeError error = from_duckdb(api_.duckdb_prepare_error(prepared_));
    api_.duckdb_destroy_prepare(&prepared_);
    throw error;
  }
}

Result Statement::execute(const std::function<bool()>& stopped) {
  duckdb_pending_result pending = nullptr;
  const duckdb_state made = api_.duckdb_pending_prepared(prepared_, &pending);
  if (stopped()) api_.duckdb_interrupt(connection_);
  return run(made, pending);
}

Result Statement::stream() {
  duckdb_pending_result pending = nullptr;
  const duckdb_state made = api_.duckdb_pending_prepared_streaming(prepared_, &pending);
  return run(made, pending);
}

Result Statement::run(duckdb_state made, duckdb_pending_result pending) {
  if (made != kDuckSuccess) {
    const BridgeError error = from_duckdb(pending != nullptr ? api_.duckdb_pending_error(pending) : nullptr);
    api_.duckdb_destroy_pending(&pending);
    throw error;
  }
  duckdb_result raw;
  const duckdb_state state = api_.duckdb_execute_pending(pending, &raw);
  api_.duckdb_destroy_pending(&pending);
  Result result(api_, raw);
  if (state != kDuckSuccess) throw from_duckdb(api_.duckdb_result_error(&raw));
  return result;
}

}  // namespace millrace::bridge
