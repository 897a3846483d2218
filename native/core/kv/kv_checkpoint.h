// Moves pages from the log into the file, beside readers and the writer: it syncs twice, which takes milliseconds.
#pragma once
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "core/kv/sqlite_connection.h"

namespace millrace {

class KvCheckpoint {
 public:
  explicit KvCheckpoint(const std::string& path) : db_(path), thread_([this] { run(); }) {}
  ~KvCheckpoint() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  /** Begins one, unless one is asked for already. */
  void ask() {
    {
      const std::lock_guard lock(mutex_);
      if (asked_) return;
      asked_ = true;
    }
    changed_.notify_all();
  }
  /** Returns when one that began after the call has ended, well or not. */
  void wait() {
    std::unique_lock lock(mutex_);
    asked_ = true;
    const uint64_t until = ended_ + (running_ ? 2 : 1);
    changed_.notify_all();
    changed_.wait(lock, [&] { return stopping_ || ended_ >= until; });
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || asked_; });
      if (stopping_) return;  // the last connection to close does it
      asked_ = false;
      running_ = true;
      lock.unlock();
      // Failing (a full disk), it is tried again after further changes; the log keeps everything meanwhile.
      sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
      lock.lock();
      running_ = false;
      ended_++;
      changed_.notify_all();
    }
  }

  SqliteConnection db_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool asked_ = false;
  bool running_ = false;
  bool stopping_ = false;
  uint64_t ended_ = 0;
  std::thread thread_;  // last: it uses the others
};

}  // namespace millrace
