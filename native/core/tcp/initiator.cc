#include "core/tcp/initiator.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/crc32c.h"
#include "core/tcp/pdu.h"

namespace millrace::tcp {

namespace {

constexpr size_t kInBytes = 256 << 10;
constexpr int kAnswerMs = 20'000;

template <typename T>
T read_at(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

[[noreturn]] void fail(const std::string& what) { throw InitiatorError("NVMe/TCP: " + what); }

UniqueFd connect_to(const std::string& address, uint16_t port) {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  const bool is_v4 = ::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1;
  if (!is_v4 && ::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) != 1) fail(address + " is no numeric address");
  v4.sin_family = AF_INET;
  v6.sin6_family = AF_INET6;
  v4.sin_port = v6.sin6_port = htons(port);
  UniqueFd fd(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), is_v4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6), is_v4 ? sizeof v4 : sizeof v6) != 0)
    fail("no controller answers at " + address + " port " + std::to_string(port) + " (" + std::strerror(errno) + ")");
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

InitiatorQueue::InitiatorQueue(const InitiatorOptions& options) : socket_(connect_to(options.address, options.port)), commands_(1), in_(new std::byte[kInBytes]) {
  wire::IcReq request{};
  request.type = wire::kPduTypeIcReq;
  request.hlen = sizeof request;
  request.plen = sizeof request;
  request.hpda = options.align;
  request.digests = static_cast<uint8_t>((options.header_digest ? wire::kPduFlagHeaderDigest : 0u) | (options.data_digest ? wire::kPduFlagDataDigest : 0u));
  if (::send(socket_.get(), &request, sizeof request, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof request)) fail("ICReq cannot be sent");
  std::byte bytes[sizeof(wire::IcResp)];
  read_exactly(bytes, sizeof bytes);
  const auto response = read_at<wire::IcResp>(bytes);
  if (response.type != wire::kPduTypeIcResp || response.plen != sizeof response || response.pfv != 0 || response.digests != request.digests) fail("the controller's ICResp does not fit");
  header_digest_ = options.header_digest;
  data_digest_ = options.data_digest;
  controller_align_ = (response.cpda + 1u) * 4;
  h2c_bytes_max_ = response.maxh2cdata;
}

void InitiatorQueue::read_exactly(std::byte* to, size_t bytes) {
  for (size_t got = 0; got < bytes;) {
    pollfd fd{socket_.get(), POLLIN, 0};
    if (::poll(&fd, 1, kAnswerMs) == 0) fail("the controller does not answer");
    const ssize_t n = ::recv(socket_.get(), to + got, bytes - got, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("the controller closed the connection");
    got += static_cast<size_t>(n);
  }
}

wire::Cqe InitiatorQueue::connect(const HostIdentity& identity, uint16_t queue_id, uint32_t entries, uint16_t controller_id, uint32_t keep_alive_ms, bool flow_control) {
  wire::ConnectData data{};
  std::copy(identity.id.begin(), identity.id.end(), data.hostid);
  data.cntlid = controller_id;
  std::memcpy(data.subnqn, identity.subsystem.data(), std::min(identity.subsystem.size(), sizeof data.subnqn - 1));
  std::memcpy(data.hostnqn, identity.host.data(), std::min(identity.host.size(), sizeof data.hostnqn - 1));
  wire::Sqe sqe{};
  sqe.opc = wire::kFabricsOpcode;
  sqe.nsid = wire::kFabricsConnect;
  sqe.cdw10 = uint32_t{queue_id} << 16;
  sqe.cdw11 = (entries - 1) | (flow_control ? 0u : 4u << 16);
  sqe.cdw12 = keep_alive_ms;
  std::vector<std::byte> bytes(sizeof data);
  std::memcpy(bytes.data(), &data, sizeof data);
  const wire::Cqe cqe = run(sqe, bytes);
  commands_.resize(std::max<size_t>(entries, 1));
  return cqe;
}

wire::Cqe InitiatorQueue::get_property(uint32_t offset, bool wide) {
  wire::Sqe sqe{};
  sqe.opc = wire::kFabricsOpcode;
  sqe.nsid = wire::kFabricsPropertyGet;
  sqe.cdw10 = wide ? 1 : 0;
  sqe.cdw11 = offset;
  return run(sqe, {});
}

wire::Cqe InitiatorQueue::set_property(uint32_t offset, uint32_t value) {
  wire::Sqe sqe{};
  sqe.opc = wire::kFabricsOpcode;
  sqe.nsid = wire::kFabricsPropertySet;
  sqe.cdw11 = offset;
  sqe.cdw12 = value;
  return run(sqe, {});
}

void InitiatorQueue::put(void* pdu, size_t hlen, std::span<const std::byte> data, bool aligned) {
  auto* header = static_cast<wire::PduHeader*>(pdu);
  header->hlen = static_cast<uint8_t>(hlen);
  const size_t digest = header_digest_ ? kDigestBytes : 0;
  size_t before = hlen + digest;
  if (header_digest_) header->flags |= wire::kPduFlagHeaderDigest;
  if (!data.empty()) {
    if (aligned) before = (before + controller_align_ - 1) / controller_align_ * controller_align_;
    header->pdo = static_cast<uint8_t>(before);
    if (data_digest_) header->flags |= wire::kPduFlagDataDigest;
  }
  const size_t trailer = !data.empty() && data_digest_ ? kDigestBytes : 0;
  header->plen = static_cast<uint32_t>(before + data.size() + trailer);
  const size_t at = out_.size();
  out_.resize(at + before + data.size() + trailer);
  std::memcpy(out_.data() + at, pdu, hlen);
  if (header_digest_) {
    const uint32_t crc = crc32c(out_.data() + at, hlen);
    std::memcpy(out_.data() + at + hlen, &crc, sizeof crc);
  }
  if (data.empty()) return;
  std::memcpy(out_.data() + at + before, data.data(), data.size());
  if (trailer > 0) {
    const uint32_t crc = crc32c(data.data(), data.size());
    std::memcpy(out_.data() + at + before + data.size(), &crc, sizeof crc);
  }
}

void InitiatorQueue::submit(wire::Sqe sqe, std::span<std::byte> data) {
  Command& command = commands_.at(sqe.cid);
  command.data = data;
  command.received = 0;
  command.outstanding = true;
  const bool out = direction_of(sqe) == Direction::kToController && !data.empty();
  const bool in_capsule = out && data.size() <= kTcpInCapsuleBytes;
  sqe.flags = static_cast<uint8_t>(sqe.flags | 1u << 6);  // PSDT: SGL
  sqe.prp1 = 0;
  sqe.prp2 = data.size() | uint64_t{in_capsule ? wire::kSglTypeInCapsule : wire::kSglTypeTransport} << 56;
  wire::CapsuleCmd pdu{};
  pdu.type = wire::kPduTypeCapsuleCmd;
  std::memcpy(pdu.sqe, &sqe, sizeof sqe);
  put(&pdu, sizeof pdu, in_capsule ? std::span<const std::byte>(data) : std::span<const std::byte>(), true);
}

wire::Cqe InitiatorQueue::run(wire::Sqe sqe, std::span<std::byte> data) {
  sqe.cid = 0;
  submit(sqe, data);
  wire::Cqe cqe{};
  while (poll(&cqe, 1) == 0)
    if (!wait(kAnswerMs)) fail("a command is not answered");
  return cqe;
}

bool InitiatorQueue::wait(int timeout_ms) {
  pollfd fd{socket_.get(), static_cast<short>(POLLIN | (out_.empty() ? 0 : POLLOUT)), 0};
  return ::poll(&fd, 1, timeout_ms) > 0;
}

void InitiatorQueue::send_some() {
  while (out_sent_ < out_.size()) {
    const ssize_t n = ::send(socket_.get(), out_.data() + out_sent_, out_.size() - out_sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n < 0) fail("the controller closed the connection");
    out_sent_ += static_cast<size_t>(n);
  }
  out_.clear();
  out_sent_ = 0;
}

uint32_t InitiatorQueue::poll(wire::Cqe* out, uint32_t max) {
  if (completed_given_ == completed_.size()) {
    completed_.clear();
    completed_given_ = 0;
    send_some();
    receive_some();
    if (!out_.empty()) send_some();  // R2Ts were answered
  }
  uint32_t n = 0;
  while (n < max && completed_given_ < completed_.size()) out[n++] = completed_[completed_given_++];
  return n;
}

void InitiatorQueue::receive_some() {
  if (in_begin_ == in_end_) in_begin_ = in_end_ = 0;
  if (in_begin_ > kInBytes / 2) {
    std::memmove(in_.get(), in_.get() + in_begin_, in_end_ - in_begin_);
    in_end_ -= in_begin_;
    in_begin_ = 0;
  }
  const size_t direct = in_begin_ == in_end_ ? data_left_ : 0;
  iovec parts[2] = {{data_to_, direct}, {in_.get() + in_end_, kInBytes - in_end_}};
  msghdr message{};
  message.msg_iov = direct > 0 ? parts : parts + 1;
  message.msg_iovlen = direct > 0 ? 2 : 1;
  const ssize_t n = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (n <= 0) fail("the controller closed the connection");
  const size_t placed = std::min(static_cast<size_t>(n), direct);
  if (data_digest_ && placed > 0) data_digest_now_ = crc32c(data_to_, placed, data_digest_now_);
  data_to_ += placed;
  data_left_ -= static_cast<uint32_t>(placed);
  in_end_ += static_cast<size_t>(n) - placed;
  parse();
}

void InitiatorQueue::parse() {
  for (;;) {
    const std::byte* at = in_.get() + in_begin_;
    const size_t have = in_end_ - in_begin_;
    if (data_left_ > 0) {
      const size_t n = std::min<size_t>(have, data_left_);
      if (n == 0) return;
      std::memcpy(data_to_, at, n);
      if (data_digest_) data_digest_now_ = crc32c(at, n, data_digest_now_);
      data_to_ += n;
      data_left_ -= static_cast<uint32_t>(n);
      in_begin_ += n;
      continue;
    }
    if (digest_due_) {
      if (have < kDigestBytes) return;
      if (read_at<uint32_t>(at) != data_digest_now_) fail("the data digest does not match");
      in_begin_ += kDigestBytes;
      digest_due_ = false;
      continue;
    }
    if (data_completes_) {
      data_completes_ = false;
      wire::Cqe cqe{};
      cqe.cid = data_cid_;
      complete(cqe);
      continue;
    }
    size_t used = 0;
    if (!take_pdu(at, have, used)) return;
    in_begin_ += used;
  }
}

bool InitiatorQueue::take_pdu(const std::byte* at, size_t have, size_t& used) {
  if (have < sizeof(wire::PduHeader)) return false;
  const auto header = read_at<wire::PduHeader>(at);
  const bool data = header.type == wire::kPduTypeC2hData;
  const size_t digest = header_digest_ && header.type != wire::kPduTypeC2hTermReq ? kDigestBytes : 0;
  const size_t before = data ? header.pdo : header.type == wire::kPduTypeC2hTermReq ? header.plen : header.hlen + digest;
  if (before < header.hlen + digest || before > kTermReqBytesMax || header.hlen < sizeof header) fail("a PDU's lengths do not fit");
  if (have < before) return false;
  if (digest > 0 && read_at<uint32_t>(at + header.hlen) != crc32c(at, header.hlen)) fail("the header digest does not match");
  used = before;
  switch (header.type) {
    case wire::kPduTypeCapsuleResp: {
      if (header.hlen != sizeof(wire::CapsuleResp)) fail("a response capsule has another length");
      complete(read_at<wire::Cqe>(at + sizeof header));
      return true;
    }
    case wire::kPduTypeC2hData: {
      const auto pdu = read_at<wire::DataPdu>(at);
      if (pdu.cccid >= commands_.size() || !commands_[pdu.cccid].outstanding) fail("data came for a command that is not outstanding");
      Command& command = commands_[pdu.cccid];
      const bool ends = (pdu.flags & wire::kPduFlagSuccess) != 0;
      if (pdu.offset != command.received || pdu.length > command.data.size() - command.received || (ends && !(pdu.flags & wire::kPduFlagLastPdu))) fail("data came that was not asked for");
      if (header.plen != header.pdo + pdu.length + (data_digest_ ? kDigestBytes : 0)) fail("a PDU's lengths do not fit");
      data_to_ = command.data.data() + pdu.offset;
      data_left_ = pdu.length;
      data_digest_now_ = 0;
      digest_due_ = data_digest_;
      data_cid_ = pdu.cccid;
      data_completes_ = ends;
      command.received += pdu.length;
      return true;
    }
    case wire::kPduTypeR2t: {
      const auto r2t = read_at<wire::DataPdu>(at);
      if (r2t.cccid >= commands_.size() || !commands_[r2t.cccid].outstanding) fail("an R2T came for a command that is not outstanding");
      const std::span<std::byte> all = commands_[r2t.cccid].data;
      if (r2t.offset > all.size() || r2t.length > all.size() - r2t.offset) fail("an R2T asks for more than there is");
      for (uint32_t sent = 0; sent < r2t.length;) {
        const uint32_t part = std::min(h2c_bytes_max_, r2t.length - sent);
        wire::DataPdu pdu{};
        pdu.type = wire::kPduTypeH2cData;
        pdu.flags = static_cast<uint8_t>(sent + part == r2t.length ? wire::kPduFlagLastPdu : 0u);
        pdu.cccid = r2t.cccid;
        pdu.ttag = r2t.ttag;
        pdu.offset = r2t.offset + sent;
        pdu.length = part;
        put(&pdu, sizeof pdu, all.subspan(pdu.offset, part), true);
        sent += part;
      }
      return true;
    }
    case wire::kPduTypeC2hTermReq: {
      const auto term = read_at<wire::TermReq>(at);
      fail("the controller ended the connection: reason " + std::to_string(term.fes) + ", field or digest " + std::to_string(uint32_t{term.fei_high} << 16 | term.fei_low));
    }
    default: fail("a PDU of type " + std::to_string(header.type) + " came");
  }
}

void InitiatorQueue::complete(const wire::Cqe& cqe) {
  if (cqe.cid >= commands_.size() || !commands_[cqe.cid].outstanding) fail("a completion came for a command that is not outstanding");
  commands_[cqe.cid].outstanding = false;
  completed_.push_back(cqe);
}

}  // namespace millrace::tcp
