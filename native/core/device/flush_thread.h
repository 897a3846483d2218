// Flush takes milliseconds on real media; a neighbour's 4 KiB read on the same I/O thread must not wait for it. Flushes
// that wait together are one sync: each covers the writes completed before it was submitted. Other long work on the media
// (deallocation of large ranges) runs here too.
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
  void flush(std::shared_ptr<Association> association, uint32_t queue_id, const wire::Sqe& sqe) {
    flush([association = std::move(association), queue_id, sqe](uint32_t status) { association->finish(queue_id, sqe, {status}); });
  }
  /** Calls `done` on this thread when everything completed before is durable. Any thread. */
  void flush(std::function<void(uint32_t status)> done) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(done));
    }
    changed_.notify_one();
  }
  /** Runs the work on this thread, before the flushes that come after it. Any thread. */
  void run_later(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
    }
    changed_.notify_one();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty() || !work_.empty(); });
      if (waiting_.empty() && work_.empty()) return;  // stopping, and everybody has his answer
      const auto work = std::exchange(work_, {});
      const auto batch = std::exchange(waiting_, {});
      lock.unlock();
      for (const auto& each : work) each();
      if (!batch.empty()) {
        const uint32_t status = sync_();
        for (const auto& done : batch) done(status);
      }
      lock.lock();
    }
  }

  std::function<uint32_t()> sync_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void(uint32_t status)>> waiting_;
  std::vector<std::function<void()>> work_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace millrace
