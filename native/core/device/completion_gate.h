// Holds completions back until the device's model says that they may be seen, whatever carried the command. One per device;
// a device without a model has none. How late a completion really was is counted here, apart from what the model says.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "core/model/device_model.h"
#include "core/queue/wake.h"
#include "core/unique_fd.h"

namespace millrace {

class CompletionGate {
 public:
  /** Throws std::invalid_argument. */
  CompletionGate(const ModelSettings& settings, uint64_t capacity_bytes);
  ~CompletionGate();

  /** When a command fetched at `at_ns` is done by the model. Any thread. */
  uint64_t due_ns(const ModelCommand& command, uint64_t at_ns);
  uint64_t due_ns(std::span<const ModelStep> steps, uint64_t at_ns);
  /** Calls `done` at `due_ns`: on this thread if that is past, else on the gate's. What waits when the gate ends is called then. No call back from `done`. */
  void hold(uint64_t due_ns, std::function<void()> done);
  /**
   * Calls `arrived` when the link has carried bytes that come from no media. `goes_on`: more of a transfer whose latency was
   * seen with its first part.
   */
  void transfer(uint64_t bytes, bool goes_on, std::function<void()> arrived);

  const LinkSettings& link_settings() const { return settings_.link; }
  bool has_media() const { return settings_.has_media(); }
  /** Calls `use` with the model while nothing else does. */
  template <typename Use>
  auto with_model(Use&& use) const {
    const std::lock_guard lock(model_mutex_);
    return use(const_cast<DeviceModel&>(model_));
  }
  /** How long after its due time each completion was passed on. */
  Histogram lateness() const {
    const std::lock_guard lock(mutex_);
    return lateness_;
  }

 private:
  void run();
  /** Sleeps or spins towards the next due time; returns when something may be due or changed. */
  void wait();

  ModelSettings settings_;
  mutable std::mutex model_mutex_;
  DeviceModel model_;
  uint64_t transfers_free_ns_ = 0;  // the last transfer left

  mutable std::mutex mutex_;
  std::multimap<uint64_t, std::function<void()>> waiting_;  // by due time
  Histogram lateness_;
  std::atomic<uint64_t> next_due_ns_{~0ull};
  std::atomic<bool> sleeping_{false};
  UniqueFd wake_;
  std::atomic<bool> stopping_{false};
  // The gate's thread only.
  uint64_t margin_ns_;
  uint64_t unspun_until_ns_ = 0;
  uint64_t backoff_ns_ = 0;
  std::thread thread_;  // last: it uses the others
};

}  // namespace millrace
