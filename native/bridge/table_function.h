// Registered tables as DuckDB sees them: one table function, millrace_table(name), with projection. Views give them names.
// (duckdb_arrow_scan, the C API's own way, claims filter and projection pushdown that a plain stream does not do.)
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "bridge/arrow_table.h"

namespace millrace::bridge {

// Tables by name. Scans hold what they read, so replacing or dropping never pulls memory from under one.
class TableRegistry {
 public:
  void put(const std::string& name, std::shared_ptr<const ArrowTable> table);
  void drop(const std::string& name);
  std::shared_ptr<const ArrowTable> find(const std::string& name) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const ArrowTable>> tables_;
};

// LIFETIME: the registry outlives the database. Throws BridgeError.
void define_table_function(const DuckApi& api, duckdb_connection connection, const TableRegistry& registry);

}  // namespace millrace::bridge
