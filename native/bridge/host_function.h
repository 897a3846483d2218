// A scalar function in DuckDB whose rows the event loop computes.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "bridge/duckdb_api.h"
#include "bridge/host_calls.h"

namespace millrace::bridge {

struct HostFunction {
  std::string name;
  // Arrow formats (table_type.h).
  std::vector<std::string> params;
  std::string result;
  // What calls say they are for.
  uint32_t id = 0;
};

// Throws BridgeError: MR_TYPE_UNSUPPORTED, MR_SQL_OPEN where DuckDB does not take it (a name that is taken).
void define_host_function(const DuckApi& api, duckdb_connection connection, const HostFunction& function, std::shared_ptr<HostCalls> calls);

}  // namespace millrace::bridge
