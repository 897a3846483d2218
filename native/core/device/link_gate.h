// Holds transfers to hosts back until the modelled link has carried them. One per device, all transports share it.
#pragma once
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "core/model/clock.h"
#include "core/model/link.h"
#include "core/queue/wake.h"
#include "core/unique_fd.h"

namespace millrace {

class LinkGate {
 public:
  explicit LinkGate(LinkSettings settings) : model_(settings), wake_(make_event_fd()), thread_([this] { run(); }) {}
  ~LinkGate() {
    stopping_.store(true);
    Waker::event_fd(wake_.get()).wake();
    thread_.join();
  }

  /**
   * Calls `arrived` on the gate's thread when the bytes are over, in the order of the calls; what waits when the gate ends is
   * called then. `goes_on`: more of a transfer whose latency was seen with its first part. Any thread, no call back.
   */
  void transfer(uint64_t bytes, bool goes_on, std::function<void()> arrived) {
    const uint64_t now_ns = monotonic_ns();
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      // The sender of a stream goes on when its last part has arrived, a latency after the pipe was free for the next.
      const uint64_t ready_ns = goes_on ? now_ns - std::min(now_ns, model_.settings().latency_ns) : now_ns;
      model_.forget(now_ns - std::min(now_ns, model_.settings().latency_ns + kForgetNs));
      // Transfers go first come first served; only what is ready later than others leaves gaps.
      const uint64_t arrival_ns = model_.arrival_ns(bytes, std::max(ready_ns, free_ns_));
      free_ns_ = arrival_ns - model_.settings().latency_ns;
      first = waiting_.empty() || arrival_ns < waiting_.begin()->first;
      waiting_.emplace(arrival_ns, std::move(arrived));
    }
    if (first) Waker::event_fd(wake_.get()).wake();
  }

  LinkModel::Totals totals() const {
    const std::lock_guard lock(mutex_);
    return model_.totals();
  }
  const LinkSettings& settings() const { return model_.settings(); }

 private:
  /** How far clocks read by different threads may lie apart. */
  static constexpr uint64_t kForgetNs = 1'000'000;

  void run() {
    for (;;) {
      const bool last_turn = stopping_.load();
      std::function<void()> arrived;
      uint64_t sleep_ns = 0;
      bool idle = false;
      {
        const std::lock_guard lock(mutex_);
        const uint64_t now_ns = monotonic_ns();
        idle = waiting_.empty();
        if (!idle && (last_turn || waiting_.begin()->first <= now_ns)) {
          arrived = std::move(waiting_.begin()->second);
          waiting_.erase(waiting_.begin());
        } else if (!idle) {
          sleep_ns = waiting_.begin()->first - now_ns;
        }
      }
      if (arrived) {
        arrived();
        continue;
      }
      if (last_turn) return;
      pollfd fd{wake_.get(), POLLIN, 0};
      const timespec timeout{static_cast<time_t>(sleep_ns / 1'000'000'000), static_cast<long>(sleep_ns % 1'000'000'000)};
      if (::ppoll(&fd, 1, idle ? nullptr : &timeout, nullptr) > 0) {
        uint64_t count = 0;
        [[maybe_unused]] auto n = ::read(wake_.get(), &count, sizeof count);
      }
    }
  }

  mutable std::mutex mutex_;
  LinkModel model_;
  uint64_t free_ns_ = 0;  // the last transfer left
  std::multimap<uint64_t, std::function<void()>> waiting_;  // by arrival
  UniqueFd wake_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;  // last: it uses the others
};

}  // namespace millrace
