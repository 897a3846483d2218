// One connection to SQLite and its statements, for one thread.
#pragma once
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

#include "sqlite3.h"

namespace millrace {

/** What SQLite said while something was opened. */
class SqliteError : public std::runtime_error {
 public:
  SqliteError(int code, const std::string& what) : std::runtime_error(what), code(code) {}
  const int code;
};

class SqliteStatement {
 public:
  SqliteStatement() = default;
  SqliteStatement(sqlite3* db, const char* sql) {
    sqlite3_stmt* made = nullptr;
    const int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr);
    if (code != SQLITE_OK) throw SqliteError(code, std::string(sqlite3_errmsg(db)) + " in " + sql);
    statement_.reset(made);
  }
  /** LIFETIME: the bytes stay as they are until reset(). */
  void bind(int at, std::span<const unsigned char> bytes) {
    static constexpr unsigned char kNothing = 0;  // a null pointer would bind NULL
    sqlite3_bind_blob64(statement_.get(), at, bytes.empty() ? &kNothing : bytes.data(), bytes.size(), SQLITE_STATIC);
  }
  void bind(int at, int64_t value) { sqlite3_bind_int64(statement_.get(), at, value); }
  /** SQLITE_ROW, SQLITE_DONE or an error. */
  int step() { return sqlite3_step(statement_.get()); }
  int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  /** Valid until the next step or reset. */
  std::span<const unsigned char> blob(int column) const {
    const auto* bytes = static_cast<const unsigned char*>(sqlite3_column_blob(statement_.get(), column));
    return {bytes, bytes ? static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column)) : 0};
  }
  void reset() { sqlite3_reset(statement_.get()); }
  /** step() of a statement that gives no rows; SQLITE_DONE comes back as SQLITE_OK. */
  int run() {
    const int code = step();
    reset();
    return code == SQLITE_DONE ? SQLITE_OK : code;
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class SqliteConnection {
 public:
  /**
   * `unix-excl`: the process holds the file's lock for as long as it is open, and the index of the write-ahead log lies in
   * this process' memory, not in a file shared with others. Throws SqliteError.
   */
  explicit SqliteConnection(const std::string& path) {
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, "unix-excl");
    db_.reset(opened);
    if (code != SQLITE_OK) throw SqliteError(code, opened ? sqlite3_errmsg(opened) : "no memory");
  }
  sqlite3* get() const { return db_.get(); }
  /** Throws SqliteError. */
  void execute(const char* sql) {
    const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) throw SqliteError(code, sqlite3_errmsg(db_.get()));
  }
  /** The one integer a query gives. Throws SqliteError. */
  int64_t integer(const char* sql) {
    SqliteStatement statement(db_.get(), sql);
    const int code = statement.step();
    if (code != SQLITE_ROW) throw SqliteError(code, sqlite3_errmsg(db_.get()));
    return statement.integer(0);
  }

 private:
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  std::unique_ptr<sqlite3, Close> db_;
};

}  // namespace millrace
