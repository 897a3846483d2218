#include "core/tcp/tcp_association.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <thread>

#include "core/model/clock.h"
#include "core/queue/wake.h"

namespace millrace::tcp {

namespace {
constexpr uint64_t kBellKey = 1000;
constexpr uint64_t kTimerKey = 1001;
constexpr time_t kTickSeconds = 1;
static_assert(kBellKey > kTcpIoQueuesMax);
}  // namespace

TcpAssociation::TcpAssociation(uint64_t id, const Subsystem& subsystem, const ConnectRequest& request, std::optional<DiscoveryController> discovery, ModuleStore& modules, CompletionGate* gate, Counters& counters, DataBudget& data, Farewell farewell, Flush flush)
    : Association(id, QueueKind::kTcp, subsystem, nullptr, modules, gate),
      host(request.host),
      host_id(request.host_id),
      counters_(counters),
      farewell_(std::move(farewell)),
      flush_(std::move(flush)),
      discovery_(std::move(discovery)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      bell_(make_event_fd()),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      pool_(data),
      keep_alive_ms_(request.keep_alive_ms) {
  if (!epoll_ || !bell_ || !timer_) throw std::system_error(errno, std::generic_category(), "descriptors of a host");
  watch(bell_.get(), kBellKey);
  watch(timer_.get(), kTimerKey);
  const itimerspec every{.it_interval = {.tv_sec = kTickSeconds, .tv_nsec = 0}, .it_value = {.tv_sec = kTickSeconds, .tv_nsec = 0}};
  ::timerfd_settime(timer_.get(), 0, &every, nullptr);
  claimed_[0] = true;
  controller.begin_disabled();
  controller.features.set_host_identifier(host_id);
  start_keep_alive();
  controller.fabric.ioccsz = (sizeof(wire::Sqe) + kTcpInCapsuleBytes) / 16;
  controller.fabric.iorcsz = sizeof(wire::Cqe) / 16;
  controller.fabric.msdbd = 1;
  controller.fabric.maxcmd = kTcpIoEntriesMax;
  controller.fabric.ofcs = 1;  // Disconnect
  controller.fabric.sgls = 1u | 1u << 20;  // SGLs, whose address may be an offset
}

TcpAssociation::~TcpAssociation() = default;

void TcpAssociation::watch(int fd, uint64_t key) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = key;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

// ---- Any thread

Answer TcpAssociation::claim_queue(uint16_t queue_id) {
  const std::lock_guard lock(mutex_);
  if (!ready_) return {wire::kStatusCommandSequenceError};
  if (queue_id == 0 || queue_id > io_queues_) return wrong_in_sqe(42);
  if (claimed_[queue_id]) return {wire::kStatusCommandSequenceError};
  claimed_[queue_id] = true;
  return {};
}

void TcpAssociation::give_up_queue(uint16_t queue_id) {
  const std::lock_guard lock(mutex_);
  claimed_[queue_id] = false;
}

void TcpAssociation::hand_over(uint16_t queue_id, std::unique_ptr<Connection> connection) {
  {
    const std::lock_guard lock(mutex_);
    inbox_.emplace_back(queue_id, std::move(connection));
    mail_.store(true);
  }
  if (armed_.exchange(false)) Waker::event_fd(bell_.get()).wake();
}

void TcpAssociation::post(uint32_t queue_id, uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t host_bytes) {
  if (std::this_thread::get_id() == thread_.load(std::memory_order_relaxed)) {
    connections_[queue_id]->finish(cid, status, dw0, dw1, host_bytes);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back({static_cast<uint16_t>(queue_id), cid, status, dw0, dw1, host_bytes});
    // ORDER: before armed_ is read (both sequentially consistent): either arm()'s last look sees it, or we see armed_.
    mail_.store(true);
  }
  if (armed_.exchange(false)) Waker::event_fd(bell_.get()).wake();
}

void TcpAssociation::hang_up() {
  // Nobody takes turns any more; descriptors close with the last reference, the host is told now.
  for (const auto& c : connections_)
    if (c && c->fd() >= 0) ::shutdown(c->fd(), SHUT_RDWR);
}

// ---- The I/O thread

void TcpAssociation::arm() { armed_.store(true); }
void TcpAssociation::disarm() { armed_.store(false); }

bool TcpAssociation::has_work() const {
  if (over_ || mail_.load()) return true;
  for (uint32_t q = 0; q < queues_; q++) {
    const Connection* c = connections_[q].get();
    if (c && ((c->has_next() && !leaving_[q]) || c->wants_read() || c->wants_flush())) return true;
  }
  return false;
}

void TcpAssociation::begin_turn() {
  if (thread_.load(std::memory_order_relaxed) == std::thread::id()) thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  take_events();
  if (mail_.load(std::memory_order_relaxed)) {
    take_inbox();
    take_posted();
  }
  for (uint32_t q = 0; q < queues_; q++) {
    Connection* c = connections_[q].get();
    if (!c) continue;
    if (c->starved()) c->retry();
    if (c->wants_read()) Counters::add(counters_.tcp_in_bytes, c->receive());
  }
}

void TcpAssociation::take_events() {
  epoll_event events[32];
  int n = 0;
  do {
    n = ::epoll_wait(epoll_.get(), events, 32, 0);
    for (int i = 0; i < n; i++) {
      const uint64_t key = events[i].data.u64;
      uint64_t count = 0;
      if (key == kBellKey || key == kTimerKey) {
        [[maybe_unused]] auto got = ::read(key == kBellKey ? bell_.get() : timer_.get(), &count, sizeof count);
        if (key == kTimerKey && count > 0) tick();
        continue;
      }
      Connection* c = connections_[key].get();
      if (!c) continue;
      constexpr uint32_t kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
      if (events[i].events & (EPOLLIN | kEnd)) c->readable((events[i].events & kEnd) != 0);
      if (events[i].events & EPOLLOUT) c->writable();
    }
  } while (n == 32);
}

void TcpAssociation::take_inbox() {
  std::vector<std::pair<uint16_t, std::unique_ptr<Connection>>> came;
  {
    const std::lock_guard lock(mutex_);
    came.swap(inbox_);
    mail_.store(!posted_.empty());
  }
  for (auto& [queue_id, connection] : came) {
    if (over_) continue;
    connection->use_pool(pool_);
    watch(connection->fd(), queue_id);
    connection->readable(false);
    connections_[queue_id] = std::move(connection);
    if (queue_id != 0) controller.features.queues_settled();
    queues_ = std::max(queues_, queue_id + 1u);
  }
}

void TcpAssociation::take_posted() {
  std::vector<Posted> done;
  {
    const std::lock_guard lock(mutex_);
    done.swap(posted_);
    mail_.store(!inbox_.empty());
  }
  for (const Posted& p : done) connections_[p.queue_id]->finish(p.cid, p.status, p.dw0, p.dw1, p.host_bytes);
}

Association::Fetch TcpAssociation::fetch(uint32_t queue_id, wire::Sqe& out) {
  if (over_) return Fetch::kBroken;
  Connection* c = connections_[queue_id].get();
  if (!c) return Fetch::kNone;
  while (!leaving_[queue_id] && c->next(out)) {
    controller.keep_alive.command();
    if (out.opc == wire::kFabricsOpcode) {
      const std::optional<Answer> answer = fabrics(queue_id, out);
      if (answer) c->finish(out.cid, answer->status, answer->dw0, answer->dw1, 0);
    } else if (!controller.ready()) {
      c->finish(out.cid, wire::kStatusCommandSequenceError, 0, 0, 0);
    } else if (discovery_) {
      const DiscoveryController::Result result = discovery_->execute(out);
      const auto data = Connection::data_of(out);
      std::copy_n(result.data.begin(), std::min(data.size(), result.data.size()), data.begin());
      if (!result.waits) c->finish(out.cid, result.status, result.dw0, 0, result.data.size());
    } else {
      return Fetch::kOne;
    }
  }
  return Fetch::kNone;
}

std::optional<Answer> TcpAssociation::fabrics(uint32_t queue_id, const wire::Sqe& sqe) {
  const auto type = static_cast<uint8_t>(sqe.nsid);
  if (type == wire::kFabricsConnect) return Answer{wire::kStatusCommandSequenceError};
  if (type == wire::kFabricsDisconnect) return disconnect(queue_id, sqe);
  if (queue_id != 0) return Answer{wire::kStatusInvalidOpcode};
  const uint32_t offset = sqe.cdw11;
  const uint32_t bytes = (sqe.cdw10 & 7u) == 0 ? 4 : (sqe.cdw10 & 7u) == 1 ? 8 : 0;
  switch (type) {
    case wire::kFabricsPropertyGet: {
      if (bytes == 0 || Controller::property_bytes(offset) != bytes) return Answer{wire::kStatusInvalidField};
      const uint64_t value = controller.property(offset);
      return Answer{0, static_cast<uint32_t>(value), static_cast<uint32_t>(value >> 32)};
    }
    case wire::kFabricsPropertySet:
      if (offset != Controller::kCc || bytes != 4) return Answer{wire::kStatusInvalidField};
      return set_property(sqe);
    default: return Answer{wire::kStatusInvalidOpcode};
  }
}

std::optional<Answer> TcpAssociation::set_property(const wire::Sqe& sqe) {
  switch (controller.set_configuration(sqe.cdw12)) {
    case Controller::Change::kRefused: return Answer{wire::kStatusInvalidField};
    case Controller::Change::kReset:
      drop_io_queues();
      controller.reset();
      break;
    case Controller::Change::kShutdown:
      // The host looks at CSTS once this command is answered: when what it wrote is durable.
      controller.shutdown_done();
      flush_(shared_from_this(), sqe);
      return std::nullopt;
    case Controller::Change::kEnabled: start_keep_alive(); break;
    case Controller::Change::kNone: break;
  }
  return Answer{};
}

Answer TcpAssociation::disconnect(uint32_t queue_id, const wire::Sqe& sqe) {
  // NVMe base specification 2.0, 6.4: for I/O queues only; RECFMT in cdw10 15:0.
  if (queue_id == 0) return {wire::kFabricsStatusInvalidQueueType};
  if ((sqe.cdw10 & 0xffffu) != 0) return {wire::kFabricsStatusIncompatibleFormat};
  leaving_[queue_id] = true;
  return {};
}

void TcpAssociation::start_keep_alive() {
  controller.features.set_keep_alive_ms(keep_alive_ms_);
  controller.keep_alive.start(uint64_t{keep_alive_ms_} * 1'000'000, monotonic_ns());
}

void TcpAssociation::drop_io_queues() {
  for (uint32_t q = 1; q < queues_; q++)
    if (connections_[q]) connections_[q]->drop();
}

void TcpAssociation::end_turn() {
  if (mail_.load(std::memory_order_relaxed)) take_posted();
  {
    // What claim_queue() looks at. The host asks for a queue only after the answer that allows it, which is sent below.
    const bool ready = controller.ready() && !discovery_;
    const uint32_t io_queues = std::min(controller.features.io_queues(), kTcpIoQueuesMax);
    if (ready != ready_ || io_queues != io_queues_) {
      const std::lock_guard lock(mutex_);
      ready_ = ready;
      io_queues_ = io_queues;
    }
  }
  for (uint32_t q = 0; q < queues_; q++) {
    Connection* c = connections_[q].get();
    if (!c) continue;
    if (c->wants_flush()) {
      const uint64_t before = c->out_bytes();
      c->flush();
      Counters::add(counters_.tcp_out_bytes, c->out_bytes() - before);
    }
    if (leaving_[q] && c->running() == 0 && !c->unsent()) c->drop();
    if (c->state() != Connection::State::kOpen) bury(q);
  }
}

void TcpAssociation::bury(uint32_t queue_id) {
  Connection& c = *connections_[queue_id];
  if (c.fd() >= 0) {
    if (c.state() == Connection::State::kBroken) {
      if (c.unsent() && c.wants_flush()) return;
      // A host that speaks nonsense on one queue is not trusted on the others.
      end("it broke the NVMe/TCP protocol");
      if (farewell_) farewell_(c.release_socket());
    } else if (queue_id == 0) {
      end(nullptr);
    }
    c.release_socket();
  }
  // Commands that still run may touch their data; the queue can be connected again when they are done.
  if (c.running() > 0) return;
  connections_[queue_id].reset();
  leaving_[queue_id] = false;
  give_up_queue(static_cast<uint16_t>(queue_id));
}

void TcpAssociation::end(const char* because) {
  if (over_) return;
  over_ = true;
  over_because_ = because;
}

void TcpAssociation::tick() {
  pool_.shrink(kTcpHostOwnBytes);
  const uint64_t now_ms = monotonic_ns() / 1'000'000;
  for (uint32_t q = 0; q < queues_; q++) {
    Connection* c = connections_[q].get();
    if (c && c->state() == Connection::State::kOpen && c->stalled_ms(now_ms) > kTcpStallMs) return end("a connection of it stood still within a PDU");
  }
}

}  // namespace millrace::tcp
