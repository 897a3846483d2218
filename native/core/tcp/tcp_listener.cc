#include "core/tcp/tcp_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/model/clock.h"
#include "core/queue/wake.h"

namespace millrace::tcp {

namespace {

constexpr uint64_t kListenKey = 1;
constexpr uint64_t kWakeKey = 2;
constexpr int kLookMs = 100;
/** NVMe base specification 2.0, 6.2 and 8.13: security protocol of in-band authentication; what a Connect answer says of it. */
constexpr uint32_t kSecurityProtocol = 0xe9;
constexpr uint32_t kAuthenticationRequired = 1u << 17;

uint64_t now_ms() { return monotonic_ns() / 1'000'000; }

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

/** A listening socket on a numeric address. */
UniqueFd listen_on(const std::string& address, uint16_t port, uint16_t& bound) {
  SocketAddress a{};
  socklen_t bytes = 0;
  if (::inet_pton(AF_INET, address.c_str(), &a.v4.sin_addr) == 1) {
    a.v4.sin_family = AF_INET;
    a.v4.sin_port = htons(port);
    bytes = sizeof a.v4;
  } else if (::inet_pton(AF_INET6, address.c_str(), &a.v6.sin6_addr) == 1) {
    a.v6.sin6_family = AF_INET6;
    a.v6.sin6_port = htons(port);
    bytes = sizeof a.v6;
  } else {
    throw std::system_error(EINVAL, std::generic_category(), "NVMe/TCP: " + address + " is no numeric address");
  }
  UniqueFd fd(::socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fd || ::bind(fd.get(), &a.any, bytes) != 0 || ::listen(fd.get(), 256) != 0) throw std::system_error(errno, std::generic_category(), "NVMe/TCP cannot listen on " + address + " port " + std::to_string(port));
  ::getsockname(fd.get(), &a.any, &bytes);
  bound = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
  return fd;
}

bool watch(int epoll, int fd, uint32_t events, uint64_t key) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

TcpListener::TcpListener(TcpSettings settings, Device device) : settings_(std::move(settings)), device_(std::move(device)), pool_(*device_.data), epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(make_event_fd()) {
  if (!epoll_ || !wake_) throw std::system_error(errno, std::generic_category(), "descriptors of the NVMe/TCP listener");
  listen_ = listen_on(settings_.address, settings_.port, port_);
  inbox_->wake = wake_.get();
  if (!watch(epoll_.get(), listen_.get(), EPOLLIN, kListenKey) || !watch(epoll_.get(), wake_.get(), EPOLLIN, kWakeKey)) throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

void TcpListener::start() { thread_ = std::thread([this] { run(); }); }

TcpListener::~TcpListener() {
  stopping_.store(true);
  Waker::event_fd(wake_.get()).wake();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(inbox_->mutex);
  inbox_->open = false;
  inbox_->tasks.clear();
}

void TcpListener::post(std::function<void()> task) {
  const std::lock_guard lock(inbox_->mutex);
  if (!inbox_->open) return;
  inbox_->tasks.push_back(std::move(task));
  Waker::event_fd(inbox_->wake).wake();
}

void TcpListener::run_inbox() {
  uint64_t count = 0;
  [[maybe_unused]] auto n = ::read(wake_.get(), &count, sizeof count);
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(inbox_->mutex);
    tasks.swap(inbox_->tasks);
  }
  for (const auto& task : tasks) task();
}

void TcpListener::farewell(UniqueFd socket) {
  auto held = std::make_shared<UniqueFd>(std::move(socket));
  post([this, held] { take_leave(std::move(*held)); });
}

void TcpListener::take_leave(UniqueFd socket) {
  ::shutdown(socket.get(), SHUT_WR);
  const uint64_t key = next_key_++;
  if (leaving_.size() >= kTcpLobbyMax) leaving_.erase(leaving_.begin());
  if (!watch(epoll_.get(), socket.get(), EPOLLIN | EPOLLRDHUP, key)) return;
  leaving_[key] = {std::move(socket), now_ms() + kTcpFarewellMs};
}

void TcpListener::run() {
  while (!stopping_.load()) {
    epoll_event events[32];
    const int n = ::epoll_wait(epoll_.get(), events, 32, guests_.empty() && leaving_.empty() ? -1 : kLookMs);
    for (int i = 0; i < n && !stopping_.load(); i++) {
      const uint64_t key = events[i].data.u64;
      if (key == kListenKey) accept_all();
      else if (key == kWakeKey) run_inbox();
      else serve(key, events[i].events);
    }
    expire(now_ms());
  }
  for (const auto& [key, guest] : guests_)
    if (guest.association) guest.association->give_up_queue(guest.request.queue_id);
  guests_.clear();
}

void TcpListener::accept_all() {
  for (;;) {
    UniqueFd fd(::accept4(listen_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    if (connections_->load() >= kTcpConnectionsMax) continue;
    if (guests_.size() >= kTcpLobbyMax) forget(guests_.begin()->first);  // silent ones must not keep others out
    const uint64_t key = next_key_++;
    connections_->fetch_add(1);
    std::shared_ptr<void> place(nullptr, [count = connections_](void*) { count->fetch_sub(1); });
    if (!watch(epoll_.get(), fd.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, key)) continue;
    Guest guest;
    guest.connection = std::make_unique<Connection>(std::move(fd), pool_, std::move(place));
    guest.key = key;
    guest.until_ms = now_ms() + kTcpIntroductionMs;
    guests_.emplace(key, std::move(guest));
  }
}

void TcpListener::expire(uint64_t now) {
  for (auto it = leaving_.begin(); it != leaving_.end();) it = it->second.until_ms <= now ? leaving_.erase(it) : std::next(it);
  std::vector<uint64_t> late;
  for (const auto& [key, guest] : guests_)
    if (guest.until_ms <= now) late.push_back(key);
  for (const uint64_t key : late) forget(key);
}

void TcpListener::forget(uint64_t key) {
  const auto it = guests_.find(key);
  if (it == guests_.end()) return;
  if (it->second.proving && settings_.authentication.forget) settings_.authentication.forget(key);
  if (it->second.association) it->second.association->give_up_queue(it->second.request.queue_id);
  guests_.erase(it);
}

void TcpListener::serve(uint64_t key, uint32_t events) {
  if (const auto it = leaving_.find(key); it != leaving_.end()) {
    std::byte scrap[4096];
    ssize_t n = 0;
    for (int i = 0; i < 16; i++) {
      n = ::recv(it->second.socket.get(), scrap, sizeof scrap, MSG_DONTWAIT);
      if (n <= 0) break;
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) leaving_.erase(it);
    return;
  }
  const auto it = guests_.find(key);
  if (it == guests_.end()) return;
  constexpr uint32_t kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  Connection& c = *it->second.connection;
  if (events & (EPOLLIN | kEnd)) c.readable((events & kEnd) != 0);
  if (events & EPOLLOUT) c.writable();
  if (!attend(it->second)) forget(key);
}

bool TcpListener::attend(Guest& guest) {
  Connection& c = *guest.connection;
  bool again = true;
  while (again) {
    again = false;
    if (c.wants_read()) c.receive();
    wire::Sqe sqe;
    while (!guest.busy && c.next(sqe)) {
      execute(guest, sqe);
      again = true;
    }
    if (c.wants_flush()) {
      c.flush();
      again = true;  // a host that did not wait for ICResp: its Connect was behind it
    }
    if (c.state() != Connection::State::kOpen) break;
  }
  switch (c.state()) {
    case Connection::State::kHostLeft: return false;
    case Connection::State::kBroken: take_leave(c.release_socket()); return false;
    case Connection::State::kOpen: break;
  }
  if (guest.failed && guest.reply.empty() && c.idle()) {
    take_leave(c.release_socket());
    return false;
  }
  const bool may = guest.connected && (!guest.proving || guest.proved);
  return !may || !c.idle() || let_in(guest);
}

void TcpListener::execute(Guest& guest, const wire::Sqe& sqe) {
  const auto type = static_cast<uint8_t>(sqe.nsid);
  Answer answer{wire::kStatusCommandSequenceError};
  if (sqe.opc == wire::kFabricsOpcode && type == wire::kFabricsConnect) {
    if (!guest.connected) answer = connect(guest, sqe);
  } else if (guest.connected && guest.proving) {
    if (sqe.opc == wire::kFabricsOpcode && type == wire::kFabricsAuthenticationSend) return authentication_send(guest, sqe);
    if (sqe.opc == wire::kFabricsOpcode && type == wire::kFabricsAuthenticationReceive) return authentication_receive(guest, sqe);
    answer = {wire::kFabricsStatusAuthenticationRequired};
  }
  guest.connection->finish(sqe.cid, answer.status, answer.dw0, answer.dw1, 0);
}

Answer TcpListener::connect(Guest& guest, const wire::Sqe& sqe) {
  ConnectRequest& request = guest.request;
  const Answer wrong = read_connect(sqe, Connection::data_of(sqe), settings_.subsystem, request);
  if (wrong.status != 0) return wrong;
  using Need = Authentication::Need;
  const Need need = settings_.authentication.need && !request.discovery ? settings_.authentication.need(request.host) : Need::kNone;
  if (need == Need::kStranger) return {wire::kFabricsStatusInvalidHost};
  if (need == Need::kNone && !request.discovery && device_.open && !device_.open()) return {wire::kFabricsStatusInvalidHost};
  if (request.queue_id == 0) {
    const auto id = device_.reserve();
    if (!id) return {wire::kFabricsStatusControllerBusy};
    guest.id = *id;
  } else {
    auto association = device_.find(request.controller_id);
    if (!association) return wrong_in_data(offsetof(wire::ConnectData, cntlid));
    if (association->host != request.host || association->host_id != request.host_id) return {wire::kFabricsStatusInvalidHost};
    const Answer refused = association->claim_queue(request.queue_id);
    if (refused.status != 0) return refused;
    guest.association = std::move(association);
  }
  guest.connected = true;
  guest.proving = need == Need::kSecret;
  guest.connection->establish(request.queue_id, request.entries, request.flow_control);
  const uint32_t id = request.queue_id == 0 ? device_.controller_id(guest.id) : request.controller_id;
  return {0, id | (guest.proving ? kAuthenticationRequired : 0u)};
}

void TcpListener::authentication_send(Guest& guest, const wire::Sqe& sqe) {
  const auto data = Connection::data_of(sqe);
  // cdw10: SPSP0 1, SPSP1 1, SECP; cdw11: bytes sent.
  if (sqe.cdw10 >> 8 != (kSecurityProtocol << 16 | 1u << 8 | 1u) || data.empty() || sqe.cdw11 != data.size() || data.size() > kTcpInCapsuleBytes)
    return guest.connection->finish(sqe.cid, wire::kStatusInvalidField, 0, 0, 0);
  guest.busy = true;
  guest.exchange_cid = sqe.cid;
  // LIFETIME: the inbox is kept, not the listener: an exchange may end after it.
  auto done = [inbox = inbox_, key = guest.key, this](Authentication::Outcome outcome, std::vector<std::byte> reply, AttachRights rights) {
    const std::lock_guard lock(inbox->mutex);
    if (!inbox->open) return;
    inbox->tasks.push_back([this, key, outcome, reply = std::move(reply), rights = std::move(rights)]() mutable {
      const auto it = guests_.find(key);
      if (it == guests_.end()) return;
      Guest& g = it->second;
      g.busy = false;
      g.reply = std::move(reply);
      g.rights = std::move(rights);
      g.proved = outcome == Authentication::Outcome::kProved;
      g.failed = outcome == Authentication::Outcome::kFailed;
      g.connection->finish(g.exchange_cid, 0, 0, 0, 0);
      if (!attend(g)) forget(key);
    });
    Waker::event_fd(inbox->wake).wake();
  };
  settings_.authentication.exchange({guest.key, guest.request.host, guest.request.subsystem, {data.begin(), data.end()}}, std::move(done));
}

void TcpListener::authentication_receive(Guest& guest, const wire::Sqe& sqe) {
  const auto data = Connection::data_of(sqe);
  if (sqe.cdw10 >> 8 != (kSecurityProtocol << 16 | 1u << 8 | 1u) || sqe.cdw11 != data.size() || data.size() < guest.reply.size())
    return guest.connection->finish(sqe.cid, wire::kStatusInvalidField, 0, 0, 0);
  if (guest.reply.empty()) return guest.connection->finish(sqe.cid, wire::kStatusCommandSequenceError, 0, 0, 0);
  std::memcpy(data.data(), guest.reply.data(), guest.reply.size());
  const uint64_t bytes = guest.reply.size();
  guest.reply.clear();
  guest.connection->finish(sqe.cid, 0, 0, 0, bytes);
}

bool TcpListener::let_in(Guest& guest) {
  // What is still to be told of the proof is fetched first.
  if (guest.proving && !guest.reply.empty()) return true;
  if (guest.proving && settings_.authentication.forget) settings_.authentication.forget(guest.key);
  guest.proving = false;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, guest.connection->fd(), nullptr);
  if (guest.request.queue_id != 0) {
    const auto association = std::move(guest.association);
    association->hand_over(guest.request.queue_id, std::move(guest.connection));
    return false;
  }
  std::optional<DiscoveryController> discovery;
  if (guest.request.discovery) discovery.emplace(advertised(guest.connection->fd()), device_.controller_id(guest.id));
  // An I/O queue is the association's, and so are its rights.
  device_.admit(guest.id, guest.request, std::move(guest.rights), std::move(discovery), std::move(guest.connection));
  return false;
}

Advertised TcpListener::advertised(int socket) const {
  Advertised a{.subsystem = settings_.subsystem, .address = settings_.advertised_address, .port = settings_.advertised_port != 0 ? settings_.advertised_port : port_};
  if (a.address.empty()) {
    SocketAddress address{};
    socklen_t bytes = sizeof address;
    char text[INET6_ADDRSTRLEN] = {};
    if (::getsockname(socket, &address.any, &bytes) == 0)
      ::inet_ntop(address.any.sa_family, address.any.sa_family == AF_INET ? static_cast<const void*>(&address.v4.sin_addr) : &address.v6.sin6_addr, text, sizeof text);
    a.address = text;
  }
  a.ipv6 = a.address.find(':') != std::string::npos;
  return a;
}

}  // namespace millrace::tcp
