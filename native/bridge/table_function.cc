#include "bridge/table_function.h"

#include "bridge/bridge_error.h"
#include "bridge/table_vector.h"

namespace millrace::bridge {

void TableRegistry::put(const std::string& name, std::shared_ptr<const ArrowTable> table) {
  const std::lock_guard lock(mutex_);
  tables_[name] = std::move(table);
}

void TableRegistry::drop(const std::string& name) {
  const std::lock_guard lock(mutex_);
  tables_.erase(name);
}

std::shared_ptr<const ArrowTable> TableRegistry::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = tables_.find(name);
  return found == tables_.end() ? nullptr : found->second;
}

namespace {

struct Bound {
  std::shared_ptr<const ArrowTable> table;
};

// One scan. A single thread of DuckDB runs it, so rows keep their order.
struct Scan {
  std::shared_ptr<const ArrowTable> table;
  std::vector<idx_t> columns;  // table column of each output vector
  size_t batch = 0;
  int64_t row = 0;
};

void bind(duckdb_bind_info info) {
  const DuckApi& api = loaded_duckdb();
  const auto* registry = static_cast<const TableRegistry*>(api.duckdb_bind_get_extra_info(info));
  duckdb_value parameter = api.duckdb_bind_get_parameter(info, 0);
  char* name = api.duckdb_get_varchar(parameter);
  api.duckdb_destroy_value(&parameter);
  auto table = registry->find(name != nullptr ? name : "");
  api.duckdb_free(name);
  if (table == nullptr) return api.duckdb_bind_set_error(info, "no table is registered under that name");
  for (size_t i = 0; i < table->columns().size(); i++) {
    duckdb_logical_type type = table->columns()[i].has_dictionary ? api.duckdb_create_logical_type(kVarchar) : logical_type_of(api, table->type(i));
    api.duckdb_bind_add_result_column(info, table->columns()[i].name.c_str(), type);
    api.duckdb_destroy_logical_type(&type);
  }
  api.duckdb_bind_set_cardinality(info, table->rows(), true);
  api.duckdb_bind_set_bind_data(info, new Bound{.table = std::move(table)}, [](void* bound) { delete static_cast<Bound*>(bound); });
}

void init(duckdb_init_info info) {
  const DuckApi& api = loaded_duckdb();
  const auto* bound = static_cast<const Bound*>(api.duckdb_init_get_bind_data(info));
  auto* scan = new Scan{.table = bound->table, .columns = {}};
  const idx_t count = api.duckdb_init_get_column_count(info);
  for (idx_t i = 0; i < count; i++) scan->columns.push_back(api.duckdb_init_get_column_index(info, i));
  api.duckdb_init_set_max_threads(info, 1);
  api.duckdb_init_set_init_data(info, scan, [](void* data) { delete static_cast<Scan*>(data); });
}

void produce(duckdb_function_info info, duckdb_data_chunk out) {
  const DuckApi& api = loaded_duckdb();
  auto* scan = static_cast<Scan*>(api.duckdb_function_get_init_data(info));
  const auto& batches = scan->table->batches();
  while (scan->batch < batches.size() && scan->row == batches[scan->batch].rows) {
    scan->batch++;
    scan->row = 0;
  }
  if (scan->batch == batches.size()) return api.duckdb_data_chunk_set_size(out, 0);
  const TableBatch& batch = batches[scan->batch];
  const auto most = static_cast<int64_t>(api.duckdb_vector_size());
  const int64_t rows = batch.rows - scan->row < most ? batch.rows - scan->row : most;
  try {
    for (idx_t i = 0; i < scan->columns.size(); i++) {
      // A scan that needs no column asks for the row id: no column of ours.
      if (scan->columns[i] >= scan->table->columns().size()) continue;
      fill_vector(api, *scan->table, scan->columns[i], batch, scan->row, rows, api.duckdb_data_chunk_get_vector(out, i));
    }
  } catch (const BridgeError& error) {
    return api.duckdb_function_set_error(info, error.what());
  }
  scan->row += rows;
  api.duckdb_data_chunk_set_size(out, static_cast<idx_t>(rows));
}

}  // namespace

void define_table_function(const DuckApi& api, duckdb_connection connection, const TableRegistry& registry) {
  duckdb_table_function function = api.duckdb_create_table_function();
  duckdb_logical_type name = api.duckdb_create_logical_type(kVarchar);
  api.duckdb_table_function_set_name(function, "millrace_table");
  api.duckdb_table_function_add_parameter(function, name);
  api.duckdb_destroy_logical_type(&name);
  api.duckdb_table_function_set_extra_info(function, const_cast<TableRegistry*>(&registry), [](void*) {});
  api.duckdb_table_function_set_bind(function, bind);
  api.duckdb_table_function_set_init(function, init);
  api.duckdb_table_function_set_function(function, produce);
  api.duckdb_table_function_supports_projection_pushdown(function, true);
  const duckdb_state state = api.duckdb_register_table_function(connection, function);
  api.duckdb_destroy_table_function(&function);
  if (state != kDuckSuccess) throw BridgeError("MR_SQL_OPEN", "DuckDB does not take the table function");
}

}  // namespace millrace::bridge
