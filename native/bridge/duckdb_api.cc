#include "bridge/duckdb_api.h"

#include <dlfcn.h>

#include <mutex>

#include "bridge/bridge_error.h"

namespace millrace::bridge {

namespace {
DuckApi api;
}  // namespace

const DuckApi& loaded_duckdb() { return api; }

const DuckApi& load_duckdb(const std::string& library_path) {
  static std::mutex mutex;
  static std::string loaded_path;
  const std::lock_guard lock(mutex);
  if (!loaded_path.empty()) {
    if (loaded_path != library_path) throw BridgeError("MR_DUCKDB_LIBRARY", "another libduckdb is loaded already: " + loaded_path);
    return api;
  }
  // LIFETIME: never dlclose'd; threads and statics of DuckDB live as long as the process.
  void* library = dlopen(library_path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw BridgeError("MR_DUCKDB_LIBRARY", std::string("libduckdb cannot be loaded: ") + dlerror());
  DuckApi resolved;
#define X(name, result, arguments)                                                                            \
  resolved.name = reinterpret_cast<result(*) arguments>(dlsym(library, #name));                               \
  if (resolved.name == nullptr) throw BridgeError("MR_DUCKDB_LIBRARY", library_path + " has no symbol " #name);
  MILLRACE_DUCKDB_API(X)
#undef X
  api = resolved;
  loaded_path = library_path;
  return api;
}

}  // namespace millrace::bridge
