#include "core/device/client_link.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "wire/wire.gen.h"

namespace millrace {

ClientLink::ClientLink(std::shared_ptr<SharedMemory> memory, AssociationGeometry geometry, UniqueFd wake, bool socket, UniqueFd own_doorbell, int doorbell)
    : memory_(std::move(memory)),
      geometry_(geometry),
      wake_(std::move(wake)),
      socket_(socket),
      own_doorbell_(std::move(own_doorbell)),
      admin_(geometry.admin(memory_->data()), Waker::event_fd(doorbell)),
      io_(geometry.io(memory_->data()), Waker::event_fd(doorbell)),
      doorbell_(doorbell) {}

void ClientLink::add_queue(uint32_t queue_id, uint64_t sq_offset, uint64_t cq_offset, uint32_t entries) {
  added_[queue_id] = std::make_unique<Submitter>(RingView::apart(data() + sq_offset, entries, data() + cq_offset, entries), Waker::event_fd(doorbell_));
}

ClientLink::~ClientLink() {
  if (detach_) detach_();
}

std::unique_ptr<ClientLink> ClientLink::in_process(std::shared_ptr<SharedMemory> memory, AssociationGeometry geometry, UniqueFd wake, int doorbell,
                                                   std::function<void()> detach) {
  std::unique_ptr<ClientLink> link(new ClientLink(std::move(memory), geometry, std::move(wake), false, UniqueFd(), doorbell));
  link->detach_ = std::move(detach);
  return link;
}

namespace {

AttachError errno_error(const char* code, const std::string& what) { return {code, what + ": " + std::strerror(errno)}; }

const char* refusal(uint32_t status) {
  switch (status) {
    case wire::kAttachStatusBadTicket: return "the ticket is unknown, used or revoked";
    case wire::kAttachStatusTooMany: return "too many associations are open";
    case wire::kAttachStatusNoMemory: return "the device has no memory for the data region";
    default: return "entries or dataBytes are out of bounds";
  }
}

/** Receives the reply and the two descriptors that come with a success. */
wire::AttachReply receive_reply(int fd, UniqueFd& memory, UniqueFd& doorbell) {
  wire::AttachReply reply{};
  iovec iov{&reply, sizeof reply};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = 0;
  do n = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); n > 0 && c; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    int fds[2] = {-1, -1};
    const size_t bytes = std::min(sizeof fds, static_cast<size_t>(c->cmsg_len - CMSG_LEN(0)));
    std::memcpy(fds, CMSG_DATA(c), bytes);
    memory = UniqueFd(fds[0]);
    doorbell = UniqueFd(fds[1]);
  }
  if (n != static_cast<ssize_t>(sizeof reply) || reply.magic != wire::kAttachReplyMagic) throw AttachError{"MR_ATTACH_PROTOCOL", "the device did not answer the attach request"};
  return reply;
}

}  // namespace

std::unique_ptr<ClientLink> ClientLink::connect(const std::string& socket_path, const std::string& ticket, uint32_t entries, uint64_t data_bytes, bool beside_device) {
  const auto geometry = AssociationGeometry::checked(entries, data_bytes);
  wire::AttachRequest request{};
  if (!geometry || ticket.size() > sizeof request.ticket) throw AttachError{"MR_ATTACH_INVALID", "entries must be a power of two from 16 to 4096, dataBytes from 64 KiB to 1 GiB"};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) throw AttachError{"MR_ATTACH_INVALID", "the socket path is too long"};
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());

  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd) throw errno_error("MR_ATTACH_CONNECT", "socket");
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw errno_error("MR_ATTACH_CONNECT", "no device answers at " + socket_path);
  request.magic = wire::kAttachRequestMagic;
  request.version = 1;
  request.entries = geometry->entries;
  request.data_bytes = geometry->data_bytes;
  request.flags = beside_device ? wire::kAttachFlagBesideDevice : 0u;
  request.ticket_bytes = static_cast<uint32_t>(ticket.size());
  std::memcpy(request.ticket, ticket.data(), ticket.size());
  if (::send(fd.get(), &request, sizeof request, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof request)) throw errno_error("MR_ATTACH_CONNECT", "sending the attach request");

  UniqueFd memory_fd;
  UniqueFd doorbell;
  const wire::AttachReply reply = receive_reply(fd.get(), memory_fd, doorbell);
  if (reply.status != wire::kAttachStatusOk) throw AttachError{reply.status == wire::kAttachStatusBadTicket ? "MR_ATTACH_TICKET" : "MR_ATTACH_REFUSED", refusal(reply.status)};
  if (!memory_fd || !doorbell || reply.entries != geometry->entries || reply.data_bytes != geometry->data_bytes) throw AttachError{"MR_ATTACH_PROTOCOL", "the device's answer does not fit the request"};
  try {
    auto memory = std::make_shared<SharedMemory>(SharedMemory::adopt(std::move(memory_fd), geometry->bytes()));
    const int bell = doorbell.get();
    return std::unique_ptr<ClientLink>(new ClientLink(std::move(memory), *geometry, std::move(fd), true, std::move(doorbell), bell));
  } catch (const std::exception& error) {
    throw AttachError{"MR_ATTACH_PROTOCOL", error.what()};
  }
}

bool ClientLink::drain_wake() {
  if (!socket_) {
    uint64_t count = 0;
    [[maybe_unused]] auto n = ::read(wake_.get(), &count, sizeof count);
    return true;
  }
  char bytes[16];
  for (;;) {
    const ssize_t n = ::recv(wake_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) continue;
    if (n == 0) return false;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK;
  }
}

uint32_t ClientLink::reap(wire::Cqe* out, uint32_t max) {
  uint32_t n = io_.reap(out, max);
  for (const auto& [id, ring] : added_) n += ring->reap(out + n, max - n);
  return n + admin_.reap(out + n, max - n);
}

bool ClientLink::arm() {
  bool quiet = io_.arm();
  quiet &= admin_.arm();
  for (const auto& [id, ring] : added_) quiet &= ring->arm();
  if (quiet) return true;
  io_.disarm();
  admin_.disarm();
  for (const auto& [id, ring] : added_) ring->disarm();
  return false;
}

}  // namespace millrace
