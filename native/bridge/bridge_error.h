// What worker threads of the bridge throw; the binding turns it into a rejected promise with `code`.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

namespace millrace::bridge {

struct BridgeError : std::runtime_error {
  // code: a stable MR_* code, or kFromDuckDB when `what` is DuckDB's own report (JSON, errors_as_json) to be read above.
  BridgeError(std::string code, const std::string& detail) : std::runtime_error(detail), code(std::move(code)) {}
  std::string code;
};

inline constexpr const char* kFromDuckDB = "DUCKDB";

// DuckDB's report says that the statement was interrupted. errors_as_json escapes quotes, so no text of a user looks like this.
inline bool says_interrupted(const BridgeError& error) {
  const std::string_view report = error.what();
  return error.code == kFromDuckDB && (report.find("\"exception_type\":\"Interrupt\"") != std::string_view::npos || report.find("\"exception_type\":\"INTERRUPT\"") != std::string_view::npos);
}

// A task that fails makes DuckDB stop its siblings, and what they report ('Interrupted!') may come before the cause.
// Where nobody asked for an interrupt the statement is asked again so often for the cause.
inline constexpr int kAskForCauseMax = 8;

inline BridgeError cause_untold() { return {"MR_SQL_EXECUTION", "one of DuckDB's threads failed and the others' end is all it reports"}; }

}  // namespace millrace::bridge
