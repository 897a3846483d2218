#include "bridge/session.h"

#include "bridge/bridge_error.h"
#include "bridge/host_calls.h"
#include "bridge/host_function.h"
#include "bridge/statement.h"

namespace millrace::bridge {

namespace {

std::string between(char mark, const std::string& text) {
  std::string out(1, mark);
  for (const char c : text) {
    if (c == mark) out += mark;
    out += c;
  }
  return out + mark;
}

}  // namespace

std::string quoted(const std::string& name) { return between('"', name); }
std::string literal(const std::string& text) { return between('\'', text); }

Session::Session(const SessionConfig& config) : api_(load_duckdb(config.library_path)), calls_(std::make_shared<HostCalls>()) {
  duckdb_config options = nullptr;
  if (api_.duckdb_create_config(&options) != kDuckSuccess) throw BridgeError("MR_SQL_OPEN", "DuckDB gave no configuration");
  for (const auto& [name, value] : config.options) {
    if (api_.duckdb_set_config(options, name.c_str(), value.c_str()) != kDuckSuccess) {
      api_.duckdb_destroy_config(&options);
      throw BridgeError("MR_SQL_OPEN", "DuckDB does not take the setting " + name + "=" + value);
    }
  }
  char* message = nullptr;
  const duckdb_state opened = api_.duckdb_open_ext(config.path.empty() ? nullptr : config.path.c_str(), &database_, options, &message);
  api_.duckdb_destroy_config(&options);
  if (opened != kDuckSuccess) {
    const std::string detail = message != nullptr ? message : "DuckDB does not open";
    api_.duckdb_free(message);
    throw BridgeError("MR_SQL_OPEN", detail);
  }
  if (api_.duckdb_connect(database_, &connection_) != kDuckSuccess) {
    api_.duckdb_close(&database_);
    throw BridgeError("MR_SQL_OPEN", "DuckDB gives no connection");
  }
  try {
    define_table_function(api_, connection_, tables_);
    for (const std::string& sql : config.statements) Statement(api_, connection_, sql).execute();
  } catch (...) {
    api_.duckdb_disconnect(&connection_);
    api_.duckdb_close(&database_);
    throw;
  }
  thread_ = std::thread([this] { run(); });
}

Session::~Session() {
  stop();
  api_.duckdb_disconnect(&connection_);
  api_.duckdb_close(&database_);
}

bool Session::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return false;
    queue_.emplace_back(++posted_, std::move(work));
  }
  wake_.notify_one();
  return true;
}

void Session::interrupt() {
  {
    const std::lock_guard lock(mutex_);
    interrupted_ = posted_;
  }
  // ORDER: the number first. Work that has begun sees this call, work about to begin sees the number.
  api_.duckdb_interrupt(connection_);
}

void Session::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  // Whoever closes may be the event loop, which then answers no call any more.
  calls_->end();
  interrupt();
}

void Session::stop() {
  close();
  if (thread_.joinable()) thread_.join();
}

void Session::run() {
  for (;;) {
    std::function<void()> work;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
      if (queue_.empty()) return;
      current_ = queue_.front().first;
      work = std::move(queue_.front().second);
      queue_.pop_front();
    }
    work();
  }
}

duckdb_connection Session::connect() {
  duckdb_connection made = nullptr;
  if (api_.duckdb_connect(database_, &made) != kDuckSuccess) throw BridgeError("MR_SQL_OPEN", "DuckDB gives no connection");
  return made;
}

void Session::put_function(const HostFunction& function) { define_host_function(api_, connection_, function, calls_); }

void Session::put_table(const std::string& name, std::shared_ptr<const ArrowTable> table) {
  const std::shared_ptr<const ArrowTable> before = tables_.find(name);
  tables_.put(name, std::move(table));
  try {
    Statement(api_, connection_, "CREATE OR REPLACE VIEW " + quoted(name) + " AS SELECT * FROM millrace_table(" + literal(name) + ")").execute();
  } catch (...) {
    if (before != nullptr) tables_.put(name, before);
    else tables_.drop(name);
    throw;
  }
}

void Session::drop_table(const std::string& name) {
  Statement(api_, connection_, "DROP VIEW IF EXISTS " + quoted(name)).execute();
  tables_.drop(name);
}

}  // namespace millrace::bridge
