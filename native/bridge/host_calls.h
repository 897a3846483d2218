// Calls of DuckDB's threads that JavaScript answers: a scalar function of a user, over the rows of one chunk.
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bridge/arrow_table.h"
#include "bridge/result_column.h"

namespace millrace::bridge {

// One chunk on its way to the event loop and back. Who fills it says so by HostCalls::answer.
struct HostCall {
  uint32_t function = 0;
  size_t rows = 0;
  std::vector<ColumnBuffers> arguments;
  // The answer: a table of one column and one batch over bytes that lie here, or why there is none.
  std::vector<std::string> bytes;
  std::unique_ptr<const ArrowTable> result;
  std::string error;
  bool answered = false;
};

// Shared by DuckDB's threads, which ask and wait, and the event loop, which answers. It never waits.
class HostCalls {
 public:
  // Hands a call to the event loop; false: it takes none any more.
  using Ask = std::function<bool(const std::shared_ptr<HostCall>&)>;
  void on_ask(Ask ask);
  // A thread of DuckDB. Waits until the call is answered, or until end(). False: ended.
  bool ask(const std::shared_ptr<HostCall>& call);
  // The event loop.
  void answer(HostCall& call);
  // Whoever waits is let go, and nobody waits again: the event loop is about to wait for DuckDB's threads itself.
  void end();

 private:
  std::mutex mutex_;
  std::condition_variable answered_;
  Ask ask_;
  bool ended_ = false;
};

}  // namespace millrace::bridge
