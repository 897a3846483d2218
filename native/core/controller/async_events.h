// Asynchronous Event Requests of one controller and the events they wait for. NVMe base specification 2.0, 5.2.
// An event of a type that was reported is held back until the host reads the log page it named.
#pragma once
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "core/limits.h"

namespace millrace {

/** Types in bits 2:0 of dw0. */
enum class AsyncEventType : uint8_t { kError = 0, kHealth = 1, kNotice = 2, kIoCommandSet = 6 };

struct AsyncEvent {
  AsyncEventType type;
  uint8_t information;
  uint8_t log_page;
  /** Bits of Asynchronous Event Configuration one of which lets it through; 0: always. */
  uint32_t enabled_by = 0;
  uint32_t dw0() const { return static_cast<uint32_t>(type) | uint32_t{information} << 8 | uint32_t{log_page} << 16; }
};

class AsyncEvents {
 public:
  struct Answer {
    uint16_t cid;
    uint32_t dw0;
  };

  /** A request came. False: the limit is reached. `answer`: it completes at once. */
  bool request(uint16_t cid, std::optional<Answer>& answer) {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kAsyncEventsMax) return false;
    waiting_.push_back(cid);
    answer = match();
    return true;
  }
  /** Something happened. Any thread. The answer is to be completed by the caller. */
  std::optional<Answer> raise(const AsyncEvent& event) {
    const std::lock_guard lock(mutex_);
    if (event.enabled_by != 0 && (event.enabled_by & enabled_) == 0) return std::nullopt;
    for (const AsyncEvent& p : pending_)
      if (p.dw0() == event.dw0()) return std::nullopt;  // told already, or about to be
    if (pending_.size() < kAsyncEventsMax) pending_.push_back(event);
    return match();
  }
  /** The log page was read without RAE: its events may be reported again. */
  std::optional<Answer> log_read(uint8_t log_page) {
    const std::lock_guard lock(mutex_);
    for (uint8_t& type : masked_)
      if (type == log_page) type = 0;
    std::erase_if(pending_, [&](const AsyncEvent& e) { return e.log_page == log_page; });
    return match();
  }
  /** Asynchronous Event Configuration. */
  void enable(uint32_t bits) {
    const std::lock_guard lock(mutex_);
    enabled_ = bits;
  }
  /** A controller reset: nobody waits, nothing is pending. */
  void reset(uint32_t bits) {
    const std::lock_guard lock(mutex_);
    enabled_ = bits;
    waiting_.clear();
    pending_.clear();
    for (uint8_t& type : masked_) type = 0;
  }
  /** True: it waited and does not any more. */
  bool abort(uint16_t cid) {
    const std::lock_guard lock(mutex_);
    return std::erase(waiting_, cid) > 0;
  }

 private:
  std::optional<Answer> match() {
    if (waiting_.empty()) return std::nullopt;
    for (size_t i = 0; i < pending_.size(); i++) {
      const AsyncEvent event = pending_[i];
      uint8_t& mask = masked_[static_cast<size_t>(event.type)];
      if (mask != 0) continue;
      mask = event.log_page;
      pending_.erase(pending_.begin() + static_cast<ptrdiff_t>(i));
      const uint16_t cid = waiting_.front();
      waiting_.erase(waiting_.begin());
      return Answer{cid, event.dw0()};
    }
    return std::nullopt;
  }

  std::mutex mutex_;
  uint32_t enabled_ = ~0u;
  std::vector<uint16_t> waiting_;
  std::vector<AsyncEvent> pending_;
  uint8_t masked_[8] = {};  // per type: the log page that clears it; 0: reports
};

}  // namespace millrace
