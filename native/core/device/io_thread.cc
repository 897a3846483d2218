#include "core/device/io_thread.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace millrace {

namespace {
constexpr uint32_t kTimerRounds = 4096;

void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}
}  // namespace

IoThread::IoThread(Work work, std::atomic<uint64_t>& busy_ns) : work_(std::move(work)), busy_ns_(busy_ns), epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(make_event_fd()) {
  if (!epoll_ || !wake_) throw std::system_error(errno, std::generic_category(), "I/O thread descriptors");
  watch(epoll_.get(), wake_.get());
  thread_ = std::thread([this] { run(); });
}

IoThread::~IoThread() { stop(); }

void IoThread::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  Waker::event_fd(wake_.get()).wake();
  thread_.join();
}

void IoThread::post(std::function<void()> task) {
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.push_back(std::move(task));
    inbox_full_.store(true);
  }
  Waker::event_fd(wake_.get()).wake();
}

void IoThread::add(std::shared_ptr<Association> association) {
  post([this, association = std::move(association)] {
    watch(epoll_.get(), association->wake_fd());
    association->arbitrate();
    associations_.push_back(association);
  });
}

void IoThread::remove(std::shared_ptr<Association> association, const char* why) {
  post([this, association = std::move(association), why] { take_off(association, why); });
}

void IoThread::take_off(const std::shared_ptr<Association>& association, const char* why) {
  const auto it = std::find(associations_.begin(), associations_.end(), association);
  if (it == associations_.end()) return;  // lost before
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, association->wake_fd(), nullptr);
  const std::shared_ptr<Association> keep = *it;
  associations_.erase(it);
  work_.gone(keep, why);
}

void IoThread::run_inbox() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(inbox_mutex_);
    tasks.swap(inbox_);
    inbox_full_.store(false);
  }
  for (const auto& task : tasks) task();
}

bool IoThread::turn(const std::shared_ptr<Association>& association) {
  uint32_t commands = 0;
  uint64_t bytes = 0;
  bool broken = false;
  association->begin_turn();
  association->arbiter.cover(association->queues());
  association->arbiter.run([&](uint32_t queue_id) {
    if (commands >= kTurnCommandsMax || bytes >= kTurnBytesMax || association->lost()) return Arbiter::Served::kStop;
    wire::Sqe sqe;
    const auto fetched = association->fetch(queue_id, sqe);
    if (fetched == Association::Fetch::kNone) return Arbiter::Served::kNone;
    if (fetched == Association::Fetch::kBroken) {
      broken = true;
      return Arbiter::Served::kStop;
    }
    commands++;
    bytes += std::min(sqe.prp2, kTurnBytesMax);
    work_.execute(association, queue_id, sqe);
    return Arbiter::Served::kOne;
  });
  if (commands > 0) association->controller.keep_alive.command();
  if (broken) take_off(association, association->ended_because());
  else association->end_turn();
  return commands > 0 || broken;
}

bool IoThread::any_work() const {
  if (inbox_full_.load(std::memory_order_relaxed) || stopping_.load(std::memory_order_relaxed)) return true;
  return std::any_of(associations_.begin(), associations_.end(), [](const auto& a) { return !a->lost() && a->has_work(); });
}

uint64_t IoThread::check_keep_alive(uint64_t now_ns) {
  uint64_t next_ns = KeepAlive::kNever;
  for (size_t i = 0; i < associations_.size(); i++) {
    const std::shared_ptr<Association> association = associations_[i];
    KeepAlive& timer = association->controller.keep_alive;
    if (!timer.runs()) continue;
    if (timer.expired(now_ns)) {
      take_off(association, "its keep alive timer ran out");
      i--;
    } else {
      next_ns = std::min(next_ns, timer.next_ns());
    }
  }
  return next_ns;
}

void IoThread::sleep() {
  const uint64_t now_ns = monotonic_ns();
  const uint64_t next_ns = check_keep_alive(now_ns);
  for (const auto& a : associations_) a->arm();
  if (!any_work()) {
    busy_ns_.fetch_add(now_ns - awake_since_ns_, std::memory_order_relaxed);
    // Rounded up, so that a timer that is due is seen to be.
    const int timeout_ms = next_ns == KeepAlive::kNever ? -1 : static_cast<int>(std::min<uint64_t>((next_ns - now_ns) / 1'000'000 + 1, 3'600'000));
    epoll_event events[16];
    ::epoll_wait(epoll_.get(), events, 16, timeout_ms);
    awake_since_ns_ = monotonic_ns();
    spin_.woke();
  }
  for (const auto& a : associations_) a->disarm();
}

void IoThread::run() {
  awake_since_ns_ = monotonic_ns();
  uint32_t rounds = 0;
  while (!stopping_.load()) {
    // A thread that never sleeps looks at the timers now and then.
    if (++rounds % kTimerRounds == 0) check_keep_alive(monotonic_ns());
    if (inbox_full_.load()) run_inbox();
    bool worked = false;
    bool ring_worked = false;
    // By copy of the pointer and by index: a turn may take its association off.
    for (size_t i = 0; i < associations_.size(); i++) {
      const std::shared_ptr<Association> association = associations_[i];
      if (!turn(association)) continue;
      worked = true;
      ring_worked |= association->kind != QueueKind::kTcp;
    }
    if (worked) in_memory_ = ring_worked;
    // What a socket brings is only seen by asking the kernel: nothing to spin for.
    if (worked || (in_memory_ && spin_.wait([this] { return any_work(); }))) continue;
    sleep();
  }
}

}  // namespace millrace
