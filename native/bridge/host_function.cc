#include "bridge/host_function.h"

#include "bridge/bits.h"
#include "bridge/bridge_error.h"
#include "bridge/table_vector.h"

namespace millrace::bridge {

namespace {

struct Defined {
  std::vector<ResultType> params;
  uint32_t id;
  std::shared_ptr<HostCalls> calls;
};

// DuckDB copies strings here: the answer's bytes are gone when the call is.
void fill_text(const DuckApi& api, const ArrowTable& table, const TableBatch& batch, duckdb_vector vector) {
  const Bytes* buffers = &batch.buffers[table.first_buffer(0)];
  const auto* ends = reinterpret_cast<const int32_t*>(buffers[1].data);
  const auto* bytes = reinterpret_cast<const char*>(buffers[2].data);
  const auto* valid = reinterpret_cast<const uint8_t*>(buffers[0].data);
  if (valid != nullptr) {
    api.duckdb_vector_ensure_validity_writable(vector);
    auto* words = reinterpret_cast<uint8_t*>(api.duckdb_vector_get_validity(vector));
    std::memcpy(words, valid, bitmap_bytes(static_cast<size_t>(batch.rows)));
  }
  for (int64_t i = 0; i < batch.rows; i++) {
    if (valid != nullptr && ((valid[i >> 3] >> (i & 7)) & 1) == 0) continue;
    api.duckdb_vector_assign_string_element_len(vector, static_cast<idx_t>(i), bytes + ends[i], static_cast<idx_t>(ends[i + 1] - ends[i]));
  }
}

void evaluate(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out) {
  const DuckApi& api = loaded_duckdb();
  const auto* function = static_cast<const Defined*>(api.duckdb_scalar_function_get_extra_info(info));
  try {
    auto call = std::make_shared<HostCall>();
    call->function = function->id;
    call->rows = api.duckdb_data_chunk_get_size(in);
    const Chunk chunk = Chunk::borrowed(api, in);
    for (idx_t i = 0; i < function->params.size(); i++) {
      ResultColumn column(function->params[i]);
      column.append(chunk, i, call->rows);
      call->arguments.push_back(column.finish());
    }
    const size_t rows = call->rows;
    if (!function->calls->ask(call)) return api.duckdb_scalar_function_set_error(info, "this DuckDB is closed");
    if (!call->error.empty()) return api.duckdb_scalar_function_set_error(info, call->error.c_str());
    const TableBatch& batch = call->result->batches()[0];
    if (static_cast<size_t>(batch.rows) != rows) return api.duckdb_scalar_function_set_error(info, "the function gave another number of rows than it took");
    if (call->result->type(0).form == TableForm::kText32) fill_text(api, *call->result, batch, out);
    else fill_vector(api, *call->result, 0, batch, 0, batch.rows, out);
  } catch (const std::exception& error) {
    // No exception of ours may pass through DuckDB's frames.
    api.duckdb_scalar_function_set_error(info, error.what());
  }
}

}  // namespace

void define_host_function(const DuckApi& api, duckdb_connection connection, const HostFunction& function, std::shared_ptr<HostCalls> calls) {
  auto defined = std::make_unique<Defined>(Defined{.params = {}, .id = function.id, .calls = std::move(calls)});
  std::vector<TableType> params;
  for (const std::string& format : function.params) params.push_back(table_type(function.name, format));
  const TableType result = table_type(function.name, function.result);
  if (result.form != TableForm::kBits && result.form != TableForm::kFixed && result.form != TableForm::kText32) throw BridgeError("MR_TYPE_UNSUPPORTED", function.name + " cannot give " + function.result);
  duckdb_scalar_function made = api.duckdb_create_scalar_function();
  api.duckdb_scalar_function_set_name(made, function.name.c_str());
  const auto typed = [&](const TableType& type, auto use) {
    duckdb_logical_type logical = logical_type_of(api, type);
    use(logical);
    api.duckdb_destroy_logical_type(&logical);
  };
  for (const TableType& type : params) {
    typed(type, [&](duckdb_logical_type logical) { api.duckdb_scalar_function_add_parameter(made, logical); });
    defined->params.push_back({.id = type.duck, .internal = 0, .precision = type.precision, .scale = type.scale});
  }
  typed(result, [&](duckdb_logical_type logical) { api.duckdb_scalar_function_set_return_type(made, logical); });
  api.duckdb_scalar_function_set_extra_info(made, defined.release(), [](void* info) { delete static_cast<Defined*>(info); });
  api.duckdb_scalar_function_set_function(made, evaluate);
  const duckdb_state state = api.duckdb_register_scalar_function(connection, made);
  api.duckdb_destroy_scalar_function(&made);
  if (state != kDuckSuccess) throw BridgeError("MR_SQL_OPEN", "DuckDB does not take the function " + function.name);
}

}  // namespace millrace::bridge
