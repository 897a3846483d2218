// One DuckDB instance with one connection and one thread that runs everything asked of it, in order.
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bridge/duckdb_api.h"
#include "bridge/table_function.h"

namespace millrace::bridge {

class HostCalls;
struct HostFunction;

struct SessionConfig {
  std::string library_path;
  std::string path;  // empty: in memory
  // Given at open, in order.
  std::vector<std::pair<std::string, std::string>> options;
  // Run right after, in order: what the C configuration does not take (lists), and what must come last (locks).
  std::vector<std::string> statements;
};

class Session {
 public:
  // Opens the instance on the calling thread (about 10 ms). Throws BridgeError.
  explicit Session(const SessionConfig& config);
  // Interrupts what runs, drops what waits, joins the thread.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Queues work for the session's thread. False when the session is closing: the work will never run.
  bool post(std::function<void()> work);
  // Any thread. Ends what runs and what waits now with an interrupt error; work posted later is not meant.
  void interrupt();
  // Session thread. The work that runs was interrupted, or the session closes.
  bool interrupted() const { return current_ <= interrupted_.load() || closing_.load(); }
  // Any thread. Interrupts and accepts no more work; work still queued runs and sees closing().
  void close();
  // close(), then waits for the thread to end. Not from the session's own thread.
  void stop();
  bool closing() const { return closing_.load(); }

  const DuckApi& api() const { return api_; }
  duckdb_connection connection() const { return connection_; }
  // Another connection to the same instance; the caller disconnects it.
  duckdb_connection connect();

  // Session thread. A scalar function that on_ask() of calls() answers. Throws BridgeError.
  void put_function(const HostFunction& function);
  HostCalls& calls() { return *calls_; }

  // Session thread. Replaces the table of that name and its view. The table is kept until it is dropped. Throws BridgeError.
  void put_table(const std::string& name, std::shared_ptr<const ArrowTable> table);
  void drop_table(const std::string& name);

 private:
  void run();

  const DuckApi& api_;
  duckdb_database database_ = nullptr;
  duckdb_connection connection_ = nullptr;
  TableRegistry tables_;
  std::shared_ptr<HostCalls> calls_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::pair<uint64_t, std::function<void()>>> queue_;
  uint64_t posted_ = 0;               // under mutex_; work is numbered from 1
  std::atomic<uint64_t> interrupted_ = 0;  // work up to this number is to end
  uint64_t current_ = 0;              // session thread
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

// Name as an SQL identifier, quoted.
std::string quoted(const std::string& name);
// Text as an SQL string literal.
std::string literal(const std::string& text);

}  // namespace millrace::bridge
