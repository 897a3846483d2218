// A thread that fetches commands of its associations' rings and runs them, round-robin, and sleeps when there are none.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/device/association.h"
#include "core/queue/adaptive_spin.h"

namespace millrace {

class IoThread {
 public:
  struct Work {
    /** Runs one command; it completes it now or later through the association. */
    std::function<void(const std::shared_ptr<Association>&, uint32_t queue_id, const wire::Sqe&)> execute;
    /** The association broke the ring protocol or was detached; it is off the thread when this is called. */
    std::function<void(const std::shared_ptr<Association>&, const char* why)> gone;
  };

  /** busy_ns: where the time it is awake is added. */
  IoThread(Work work, std::atomic<uint64_t>& busy_ns);
  ~IoThread();
  void add(std::shared_ptr<Association> association);
  /** `gone` follows on this thread. */
  void remove(std::shared_ptr<Association> association, const char* why);
  /** Joins the thread. No command runs afterwards. */
  void stop();

 private:
  void run();
  void run_inbox();
  bool turn(const std::shared_ptr<Association>& association);
  void take_off(const std::shared_ptr<Association>& association, const char* why);
  bool any_work() const;
  /** Ends associations whose keep alive timer ran out. When to look again. */
  uint64_t check_keep_alive(uint64_t now_ns);
  void sleep();
  void post(std::function<void()> task);

  Work work_;
  std::atomic<uint64_t>& busy_ns_;
  UniqueFd epoll_;
  UniqueFd wake_;
  std::mutex inbox_mutex_;
  std::vector<std::function<void()>> inbox_;
  std::atomic<bool> inbox_full_{false};
  std::atomic<bool> stopping_{false};
  std::vector<std::shared_ptr<Association>> associations_;  // this thread only
  AdaptiveSpin spin_;
  /** The last work came through rings, where more of it would be seen without a system call. */
  bool in_memory_ = false;
  uint64_t awake_since_ns_ = 0;
  std::thread thread_;
};

}  // namespace millrace
