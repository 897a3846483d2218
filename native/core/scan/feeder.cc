#include "core/scan/feeder.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <cerrno>
#include <system_error>

namespace millrace {

namespace {
void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}
}  // namespace

Feeder::Feeder(uint32_t slot, Hub hub, const BackingFile& backing, Counters& counters)
    : slot_(slot), hub_(std::move(hub)), counters_(counters), feed_(backing, counters, slot, hub_.slots, hub_.media), epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(make_event_fd()) {
  if (!epoll_ || !wake_) throw std::system_error(errno, std::generic_category(), "feeder descriptors");
  watch(epoll_.get(), wake_.get());
  if (hub_.media) {
    media_timer_ = UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!media_timer_) throw std::system_error(errno, std::generic_category(), "feeder timer");
    watch(epoll_.get(), media_timer_.get());
  }
  if (!hub_.core.on()) return;
  timer_ = UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer_) throw std::system_error(errno, std::generic_category(), "feeder timer");
  watch(epoll_.get(), timer_.get());
}

Feeder::~Feeder() { stop(); }

void Feeder::start() { thread_ = std::thread([this] { run(); }); }

void Feeder::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  Waker::event_fd(wake_.get()).wake();
  thread_.join();
}

void Feeder::seat(std::shared_ptr<SlotPort> port) {
  const std::lock_guard lock(inbox_mutex_);
  changes_.push_back({std::move(port), std::nullopt});
  inbox_full_.store(true);
  Waker::event_fd(wake_.get()).wake();
}

void Feeder::unseat(std::shared_ptr<SlotPort> port, SlotDownReason reason) {
  port->alive.store(false);
  const std::lock_guard lock(inbox_mutex_);
  changes_.push_back({std::move(port), reason});
  inbox_full_.store(true);
  Waker::event_fd(wake_.get()).wake();
}

void Feeder::kick() {
  // ORDER: seq_cst on both flags: either the feeder sees kicked_ in its last look, or we see idle_ and wake it.
  kicked_.store(true);
  if (idle_.exchange(false)) Waker::event_fd(wake_.get()).wake();
}

void Feeder::change_port() {
  std::deque<Change> changes;
  {
    const std::lock_guard lock(inbox_mutex_);
    changes.swap(changes_);
    inbox_full_.store(false);
  }
  for (Change& change : changes) {
    if (!change.down) {
      port_ = std::move(change.port);
      feed_.use(hub_.memory(port_->bank), port_->view);
      condemned_ = leaving_ = departed_ = false;
      watch(epoll_.get(), port_->completion_fd);
    } else if (port_ == change.port) {
      release_held(true);
      reap();  // what the slot completed before it died counts
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, port_->completion_fd, nullptr);
      lose_all(*change.down);
      feed_.use(nullptr, nullptr);
      port_.reset();
      programs_.clear();
      hub_.left(change.port->bank);
    }
  }
}

/** The slot's turn is over: it goes when what it began is done. */
void Feeder::depart_if_done() {
  if (!leaving_ || departed_ || !in_flight_.empty() || pending_ || staged_ || held_ || streaming_) return;
  leaving_ = departed_ = hub_.depart(slot_, port_->bank);
}

void Feeder::sleep() {
  // While a completion is held nothing the slot says matters: an honest one has nothing to do.
  if (port_ && !held_ && !port_->ring.arm()) return;
  idle_.store(true);
  if (!kicked_.load() && !inbox() && !stopping_.load()) {
    epoll_event events[4];
    // A stalled command is looked after once a second, else only events count.
    const bool stalled = !in_flight_.empty() && in_flight_.front().stalled;
    ::epoll_wait(epoll_.get(), events, 4, stalled ? 1000 : -1);
    spin_.woke();
  }
  idle_.store(false);
  if (port_) port_->ring.disarm();
}

void Feeder::run() {
  while (!stopping_.load()) {
    kicked_.store(false);
    if (inbox()) change_port();
    bool worked = false;
    if (port_ && !condemned_) {
      worked |= reap();
      worked |= go_on_if_stalled();
      cancel_if_closed();
      if (!condemned_) worked |= refill();
      if (!condemned_) worked |= tend_stream();
      if (!condemned_) depart_if_done();
    }
    if (worked) continue;
    auto ready = [this] { return kicked_.load(std::memory_order_relaxed) || inbox_full_.load(std::memory_order_relaxed) || stopping_.load(std::memory_order_relaxed) || (port_ && !condemned_ && !held_ && port_->ring.completion_ready()); };
    // With nothing in flight only a kick can bring work, and kicks come rarely: no spinning for them.
    const bool hot = in_flight_.empty() || held_ ? ready() : spin_.wait(ready);
    if (!hot) sleep();
  }
  if (port_) lose_all(SlotDownReason::kStopped);
}

}  // namespace millrace
