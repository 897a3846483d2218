// What worker threads of the bridge throw; the binding turns it into a rejected promise with `code`.
#pragma once
#include <stdexcept>
#include <string>

namespace millrace::bridge {

struct BridgeError : std::runtime_error {
  // code: a stable MR_* code, or kFromDuckDB when `what` is DuckDB's own report (JSON, errors_as_json) to be read above.
  BridgeError(std::string code, const std::string& detail) : std::runtime_error(detail), code(std::move(code)) {}
  std::string code;
};

inline constexpr const char* kFromDuckDB = "DUCKDB";

}  // namespace millrace::bridge
