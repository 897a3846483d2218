// Holds transfers to hosts back until the modelled link has carried them. One per device, all transports share it.
#pragma once
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
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
      first = waiting_.empty();
      waiting_.emplace_back(model_.arrival_ns(bytes, ready_ns), std::move(arrived));
    }
    if (first) Waker::event_fd(wake_.get()).wake();
  }

  LinkModel::Totals totals() const {
    const std::lock_guard lock(mutex_);
    return model_.totals();
  }
  const LinkSettings& settings() const { return model_.settings(); }

 private:
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
        if (!idle && (last_turn || waiting_.front().first <= now_ns)) {
          arrived = std::move(waiting_.front().second);
          waiting_.pop_front();
        } else if (!idle) {
          sleep_ns = waiting_.front().first - now_ns;
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
  std::deque<std::pair<uint64_t, std::function<void()>>> waiting_;  // the pipe serves in order, so arrivals rise
  UniqueFd wake_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;  // last: it uses the others
};

}  // namespace millrace
