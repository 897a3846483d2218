#include "core/device/attach_listener.h"

#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace millrace {

namespace {

constexpr size_t kWaitingMax = 64;

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

void reply(int fd, const AttachListener::Attached& attached) {
  wire::AttachReply message{};
  message.magic = wire::kAttachReplyMagic;
  message.status = attached.status;
  message.entries = attached.geometry.entries;
  message.data_bytes = attached.geometry.data_bytes;
  iovec iov{&message, sizeof message};
  msghdr header{};
  header.msg_iov = &iov;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  if (attached.status == wire::kAttachStatusOk) {
    const int fds[2] = {attached.memory_fd, attached.doorbell_fd};
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fds);
    std::memcpy(CMSG_DATA(c), fds, sizeof fds);
  }
  [[maybe_unused]] auto n = ::sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool watch(int epoll, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

UniqueFd bind_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail("socket " + path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  UniqueFd probe(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (probe && ::connect(probe.get(), name, sizeof address) == 0) {
    errno = EADDRINUSE;
    fail("another device answers at " + path);
  }
  ::unlink(path.c_str());
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) fail("socket");
  // fchmod before bind sets the mode of the file bind makes: it is never open to others, not for a moment.
  if (::fchmod(fd.get(), 0600) != 0 || ::bind(fd.get(), name, sizeof address) != 0 || ::chmod(path.c_str(), 0600) != 0 || ::listen(fd.get(), 16) != 0) fail("socket " + path);
  return fd;
}

}  // namespace

AttachListener::AttachListener(std::string path, Admit admit, Closed closed)
    : path_(std::move(path)), admit_(std::move(admit)), closed_(std::move(closed)), listen_(bind_socket(path_)), epoll_(::epoll_create1(EPOLL_CLOEXEC)), stop_(make_event_fd()) {
  if (!epoll_ || !stop_ || !watch(epoll_.get(), listen_.get(), EPOLLIN) || !watch(epoll_.get(), stop_.get(), EPOLLIN)) fail("attach listener");
}

void AttachListener::start() { thread_ = std::thread([this] { run(); }); }

AttachListener::~AttachListener() {
  Waker::event_fd(stop_.get()).wake();
  if (thread_.joinable()) thread_.join();
  ::unlink(path_.c_str());
}

void AttachListener::forget(const std::shared_ptr<RingAssociation>& association) {
  const std::lock_guard lock(mutex_);
  const auto it = attached_.find(association->socket_fd());
  if (it == attached_.end() || it->second != association) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, it->first, nullptr);
  attached_.erase(it);
}

void AttachListener::accept_all() {
  for (;;) {
    UniqueFd fd(::accept4(listen_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    if (waiting_.size() >= kWaitingMax) waiting_.erase(waiting_.begin());  // silent connections must not keep others out
    if (watch(epoll_.get(), fd.get(), EPOLLIN | EPOLLRDHUP)) {
      const int key = fd.get();
      waiting_[key] = std::move(fd);
    }
  }
}

void AttachListener::serve(int fd) {
  if (const auto it = waiting_.find(fd); it != waiting_.end()) {
    wire::AttachRequest request{};
    const ssize_t n = ::recv(fd, &request, sizeof request, MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    UniqueFd socket = std::move(it->second);
    waiting_.erase(it);
    Attached attached;
    if (n == static_cast<ssize_t>(sizeof request) && request.magic == wire::kAttachRequestMagic && request.version == 1 && request.ticket_bytes <= sizeof request.ticket)
      attached = admit_(request, socket);
    if (attached.association) {
      const std::lock_guard lock(mutex_);
      attached_[fd] = attached.association;
    }
    reply(fd, attached);
    return;
  }
  std::shared_ptr<RingAssociation> association;
  {
    const std::lock_guard lock(mutex_);
    const auto it = attached_.find(fd);
    if (it == attached_.end()) return;
    association = it->second;
  }
  // An attached client has nothing to say here: end of file and chatter both end the association.
  forget(association);
  closed_(association);
}

void AttachListener::run() {
  for (;;) {
    epoll_event events[16];
    const int n = ::epoll_wait(epoll_.get(), events, 16, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.fd == stop_.get()) return;
      if (events[i].data.fd == listen_.get()) accept_all();
      else serve(events[i].data.fd);
    }
  }
}

}  // namespace millrace
