// Flush takes milliseconds on real media; a neighbour's 4 KiB read on the same I/O thread must not wait for it. Flushes
// that wait together are one sync: each covers the writes completed before it was submitted.
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/device/association.h"

namespace millrace {

class FlushThread {
 public:
  /** `sync` makes durable what completed before and gives a status. */
  explicit FlushThread(std::function<uint32_t()> sync) : sync_(std::move(sync)), thread_([this] { run(); }) {}
  ~FlushThread() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  /** Completes the command later. Any thread. */
  void flush(std::shared_ptr<Association> association, uint32_t queue_id, uint16_t cid) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back({std::move(association), queue_id, cid});
    }
    changed_.notify_one();
  }

 private:
  struct Waiting {
    std::shared_ptr<Association> association;
    uint32_t queue_id;
    uint16_t cid;
  };

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;  // stopping, and everybody has his answer
      const std::vector<Waiting> batch = std::exchange(waiting_, {});
      lock.unlock();
      const uint32_t status = sync_();
      for (const Waiting& w : batch) w.association->complete(w.queue_id, w.cid, status);
      lock.lock();
    }
  }

  std::function<uint32_t()> sync_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Waiting> waiting_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace millrace
