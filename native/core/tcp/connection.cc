#include "core/tcp/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/crc32c.h"
#include "core/invariant.h"

namespace millrace::tcp {

namespace {

constexpr size_t kInBytes = 64 << 10;
constexpr uint32_t kIntroducingEntries = 4;  // Connect, then one authentication command after the other
constexpr uint8_t kConnectType = wire::kFabricsConnect;
constexpr uint32_t kStatusTransientTransportError = 0x022;

template <typename T>
T read_at(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/** What an SGL descriptor and the data that came along must be, NVMe/TCP transport 1.0, 3.3.2; a status otherwise. */
uint32_t check_sgl(const wire::Sqe& sqe, Direction direction, uint32_t in_capsule_bytes) {
  constexpr uint8_t kPsdtSgl = 1;
  const Sgl sgl = sgl_of(sqe);
  if ((sqe.flags >> 6 & 3u) != kPsdtSgl) return wire::kStatusInvalidField;
  if (direction == Direction::kNone) return 0;
  if (sgl.length > kTransferBytesMax) return wire::kStatusInvalidField;
  switch (sgl.type) {
    case wire::kSglTypeInCapsule:
      if (direction != Direction::kToController) return wire::kTransportStatusSglTypeInvalid;
      if (sgl.address != 0) return wire::kTransportStatusSglOffsetInvalid;
      return sgl.length == in_capsule_bytes ? 0u : wire::kTransportStatusSglLengthInvalid;
    case wire::kSglTypeTransport: return in_capsule_bytes == 0 ? 0u : wire::kTransportStatusSglLengthInvalid;
    default: return sgl.length == 0 && in_capsule_bytes == 0 ? 0u : wire::kTransportStatusSglTypeInvalid;
  }
}

}  // namespace

Connection::Connection(UniqueFd socket, DataPool& pool, std::shared_ptr<void> place)
    : place_(std::move(place)), socket_(std::move(socket)), pool_(&pool), in_(new std::byte[kInBytes]), slot_of_(static_cast<uint16_t*>(std::calloc(1 << 16, sizeof(uint16_t))), &std::free) {
  if (!slot_of_) throw std::bad_alloc();
  const int on = 1;
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // A host that vanished without a word: found out in a minute and a half, also where it asked for no keep-alive.
  constexpr int kIdleSeconds = 60, kEverySeconds = 10, kProbes = 3;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_KEEPIDLE, &kIdleSeconds, sizeof kIdleSeconds);
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_KEEPINTVL, &kEverySeconds, sizeof kEverySeconds);
  ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof kProbes);
  establish(0, kIntroducingEntries, true);
}

Connection::~Connection() {
  for (Slot& slot : slots_)
    if (slot.data) pool_->give(slot.data, slot.data_length);
}

void Connection::establish(uint16_t queue_id, uint32_t entries, bool flow_control) {
  queue_id_ = queue_id;
  entries_ = entries;
  flow_control_ = flow_control;
  const auto have = static_cast<uint32_t>(slots_.size());
  const uint32_t want = std::max(have, entries);
  slots_.resize(want);
  for (uint32_t i = want; i-- > have;) free_.push_back(static_cast<uint16_t>(i));
  // No command may be ready here: Connect itself was taken, and the host waits for its answer.
  ready_.assign(want + 1, 0);
  ready_head_ = ready_tail_ = 0;
}

uint64_t Connection::receive() {
  uint64_t taken = 0;
  while (wants_read() && taken < kTurnBytesMax) {
    if (in_begin_ == in_end_) in_begin_ = in_end_ = 0;
    if (in_begin_ > kInBytes / 2) {
      std::memmove(in_.get(), in_.get() + in_begin_, in_end_ - in_begin_);
      in_end_ -= in_begin_;
      in_begin_ = 0;
    }
    // What is certainly a command's data goes where it belongs at once.
    const size_t direct = phase_ == Phase::kData && in_begin_ == in_end_ && data_to_ ? data_left_ : 0;
    iovec parts[2] = {{data_to_, direct}, {in_.get() + in_end_, kInBytes - in_end_}};
    msghdr message{};
    message.msg_iov = direct > 0 ? parts : parts + 1;
    message.msg_iovlen = direct > 0 ? 2 : 1;
    const ssize_t got = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      readable_ = false;
      break;
    }
    if (got <= 0) {
      drop();
      break;
    }
    const auto bytes = static_cast<size_t>(got);
    if (bytes < direct + (kInBytes - in_end_) && !closing_) readable_ = false;  // edge-triggered: what comes later is announced
    taken += bytes;
    in_bytes_ += bytes;
    const size_t placed = std::min(bytes, direct);
    if (placed > 0) {
      if (terms_.data_digest) data_digest_ = crc32c(data_to_, placed, data_digest_);
      data_to_ += placed;
      data_left_ -= static_cast<uint32_t>(placed);
    }
    in_end_ += bytes - placed;
    parse();
  }
  return taken;
}

void Connection::parse() {
  while (state_ == State::kOpen && control_left_ == 0) {  // nothing overtakes ICResp
    const size_t have = in_end_ - in_begin_;
    switch (phase_) {
      case Phase::kHeader:
        if (!take_header()) return;
        break;
      case Phase::kData: {
        const size_t n = std::min<size_t>(have, data_left_);
        if (data_to_ && n > 0) {
          std::memcpy(data_to_, in_.get() + in_begin_, n);
          data_to_ += n;
        }
        if (terms_.data_digest) data_digest_ = crc32c(in_.get() + in_begin_, n, data_digest_);
        in_begin_ += n;
        data_left_ -= static_cast<uint32_t>(n);
        if (data_left_ > 0) return;
        phase_ = terms_.data_digest ? Phase::kDataDigest : Phase::kHeader;
        if (phase_ == Phase::kHeader) data_done(true);
        break;
      }
      case Phase::kDataDigest: {
        if (have < kDigestBytes) return;
        const auto digest = read_at<uint32_t>(in_.get() + in_begin_);
        in_begin_ += kDigestBytes;
        phase_ = Phase::kHeader;
        data_done(digest == data_digest_);
        break;
      }
    }
  }
}

bool Connection::take_header() {
  const size_t have = in_end_ - in_begin_;
  const std::byte* at = in_.get() + in_begin_;
  if (have < sizeof(wire::PduHeader)) return false;
  const auto header = read_at<wire::PduHeader>(at);
  if (const auto fault = check_header(header, terms_, initialized_)) {
    refuse(*fault);
    return false;
  }
  const uint32_t span = header_span(header, terms_);
  if (have < span) return false;
  const bool digested = terms_.header_digest && (header.type == wire::kPduTypeCapsuleCmd || header.type == wire::kPduTypeH2cData);
  if (digested) {
    const auto digest = read_at<uint32_t>(at + header.hlen);
    if (digest != crc32c(at, header.hlen)) {
      refuse({wire::kTermReasonHeaderDigestError, digest});
      return false;
    }
  }
  if (!begin(header, at)) return false;
  in_begin_ += span;
  return true;
}

bool Connection::begin(const wire::PduHeader& header, const std::byte* at) {
  switch (header.type) {
    case wire::kPduTypeIcReq: initialize(read_at<wire::IcReq>(at)); return state_ == State::kOpen;
    case wire::kPduTypeCapsuleCmd: return begin_command(header, at);
    case wire::kPduTypeH2cData: return begin_data(header, at);
    default:  // H2CTermReq: the host gives up
      drop();
      return false;
  }
}

void Connection::initialize(const wire::IcReq& request) {
  constexpr uint32_t kPfvAt = 8, kHpdaAt = 10, kDigestsAt = 11, kHpdaMax = 31;
  constexpr uint8_t kDigests = wire::kPduFlagHeaderDigest | wire::kPduFlagDataDigest;
  if (request.pfv != 0) return refuse({wire::kTermReasonUnsupportedParameter, kPfvAt});
  if (request.hpda > kHpdaMax) return refuse({wire::kTermReasonInvalidHeaderField, kHpdaAt});
  if ((request.digests & ~kDigests) != 0) return refuse({wire::kTermReasonInvalidHeaderField, kDigestsAt});
  terms_.header_digest = (request.digests & wire::kPduFlagHeaderDigest) != 0;
  terms_.data_digest = (request.digests & wire::kPduFlagDataDigest) != 0;
  terms_.host_align_bytes = (request.hpda + 1u) * 4;
  initialized_ = true;
  wire::IcResp response{};
  response.type = wire::kPduTypeIcResp;
  response.hlen = sizeof response;
  response.plen = sizeof response;
  response.digests = request.digests;
  response.maxh2cdata = kTcpH2cDataBytesMax;
  put_control(&response, sizeof response);
}

bool Connection::begin_command(const wire::PduHeader& header, const std::byte* at) {
  if (outstanding_ >= entries_) {
    refuse({wire::kTermReasonSequenceError, 0});
    return false;
  }
  const auto sqe = read_at<wire::Sqe>(at + sizeof(wire::PduHeader));
  const Direction direction = direction_of(sqe);
  const uint32_t bytes = data_bytes(header, terms_);
  uint32_t refused = slot_of_[sqe.cid] != 0 ? static_cast<uint32_t>(wire::kTransportStatusCommandIdConflict) : check_sgl(sqe, direction, bytes);
  const uint16_t index = free_.back();
  Slot& slot = slots_[index];
  slot.data_length = refused != 0 || direction == Direction::kNone ? 0 : sgl_of(sqe).length;
  if (bytes > 0 && slot.data_length > 0 && !give_memory(slot)) {
    blocked_ = true;
    return false;
  }
  free_.pop_back();
  outstanding_++;
  slot.sqe = sqe;
  slot.gathered = 0;
  slot.refused = refused;
  slot.by_r2t = false;
  slot.running = false;
  if (slot_of_[sqe.cid] == 0) slot_of_[sqe.cid] = static_cast<uint16_t>(index + 1);
  if (bytes == 0) {
    command_arrived(index);
    return true;
  }
  phase_ = Phase::kData;
  data_slot_ = index;
  data_to_ = slot.data_length > 0 ? slot.data : nullptr;
  data_bytes_ = data_left_ = bytes;
  data_digest_ = 0;
  return true;
}

bool Connection::begin_data(const wire::PduHeader& header, const std::byte* at) {
  constexpr uint32_t kFlagsAt = 1, kCccidAt = 8, kTtagAt = 10, kOffsetAt = 12, kLengthAt = 16;
  const auto pdu = read_at<wire::DataPdu>(at);
  const auto invalid = [this](uint32_t reason, uint32_t field) {
    refuse({reason, field});
    return false;
  };
  if (pdu.ttag >= slots_.size() || !slots_[pdu.ttag].by_r2t) return invalid(wire::kTermReasonInvalidHeaderField, kTtagAt);
  Slot& slot = slots_[pdu.ttag];
  if (slot.sqe.cid != pdu.cccid) return invalid(wire::kTermReasonInvalidHeaderField, kCccidAt);
  if (pdu.length != data_bytes(header, terms_)) return invalid(wire::kTermReasonInvalidHeaderField, kLengthAt);
  if (pdu.offset != slot.gathered || pdu.length > slot.data_length - slot.gathered) return invalid(wire::kTermReasonDataOutOfRange, kOffsetAt);
  const bool last = pdu.offset + pdu.length == slot.data_length;
  if (last != ((header.flags & wire::kPduFlagLastPdu) != 0)) return invalid(wire::kTermReasonInvalidHeaderField, kFlagsAt);
  phase_ = Phase::kData;
  data_slot_ = pdu.ttag;
  data_to_ = slot.data + slot.gathered;
  data_bytes_ = data_left_ = pdu.length;
  data_digest_ = 0;
  return true;
}

void Connection::data_done(bool digest_matches) {
  Slot& slot = slots_[data_slot_];
  data_to_ = nullptr;
  // NVMe/TCP transport 1.0, 3.3.1.1.2: wrong data is the command's failure, not the connection's.
  if (!digest_matches && slot.refused == 0) slot.refused = kStatusTransientTransportError;
  if (!slot.by_r2t) return command_arrived(data_slot_);
  slot.gathered += data_bytes_;
  if (slot.gathered < slot.data_length) return;
  slot.by_r2t = false;
  gathering_--;
  if (slot.refused != 0) return answer(data_slot_, slot.refused, 0, 0, 0);
  push_ready(data_slot_);
}

void Connection::command_arrived(uint16_t index) {
  Slot& slot = slots_[index];
  if (slot.refused != 0) return answer(index, slot.refused, 0, 0, 0);
  if (slot.data_length == 0 || slot.data) return push_ready(index);
  // First come, first served: who waits for memory is not overtaken by others who need some.
  if (!starved_.empty() || !give_memory(slot)) return starved_.push_back(index);
  go_on(index);
}

bool Connection::give_memory(Slot& slot) {
  slot.data = pool_->take(slot.data_length);
  return slot.data != nullptr;
}

void Connection::go_on(uint16_t index) {
  if (direction_of(slots_[index].sqe) == Direction::kToController) send_r2t(index);
  else push_ready(index);
}

void Connection::retry() {
  while (!starved_.empty() && state_ == State::kOpen) {
    if (!give_memory(slots_[starved_.front()])) return;
    const uint16_t index = starved_.front();
    starved_.pop_front();
    go_on(index);
  }
  if (!blocked_) return;
  blocked_ = false;
  parse();
}

void Connection::send_r2t(uint16_t index) {
  Slot& slot = slots_[index];
  slot.by_r2t = true;
  gathering_++;
  wire::DataPdu pdu{};
  pdu.type = wire::kPduTypeR2t;
  pdu.cccid = slot.sqe.cid;
  pdu.ttag = index;
  pdu.length = slot.data_length;
  slot.r2t_bytes = static_cast<uint8_t>(put_pdu(slot.r2t.data(), &pdu, sizeof pdu));
  unsent_bytes_ += slot.r2t_bytes;
  out_.push_back({index, true});
}

void Connection::push_ready(uint16_t index) {
  ready_[ready_tail_] = index;
  ready_tail_ = ready_tail_ + 1 == ready_.size() ? 0 : ready_tail_ + 1;
}

bool Connection::next(wire::Sqe& out) {
  if (!has_next()) return false;
  const uint16_t index = ready_[ready_head_];
  ready_head_ = ready_head_ + 1 == ready_.size() ? 0 : ready_head_ + 1;
  Slot& slot = slots_[index];
  slot.running = true;
  running_++;
  out = slot.sqe;
  out.flags &= 0x3f;  // PSDT is the transport's
  out.prp1 = reinterpret_cast<uintptr_t>(slot.data);
  out.prp2 = slot.data_length;
  return true;
}

void Connection::finish(uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t host_bytes) {
  const uint16_t index = static_cast<uint16_t>(slot_of_[cid] - 1);
  invariant(index < slots_.size() && slots_[index].running, "a command that runs is finished");
  slots_[index].running = false;
  running_--;
  if (state_ != State::kOpen) return release(index);
  answer(index, status, dw0, dw1, host_bytes);
}

uint16_t Connection::put_pdu(std::byte* at, void* pdu, uint8_t hlen) const {
  auto* header = static_cast<wire::PduHeader*>(pdu);
  header->hlen = hlen;
  if (terms_.header_digest) header->flags |= wire::kPduFlagHeaderDigest;
  const uint32_t digest_bytes = terms_.header_digest ? kDigestBytes : 0u;
  if (header->plen == 0) header->plen = hlen + digest_bytes;
  std::memcpy(at, pdu, hlen);
  if (terms_.header_digest) {
    const uint32_t digest = crc32c(at, hlen);
    std::memcpy(at + hlen, &digest, sizeof digest);
  }
  return static_cast<uint16_t>(hlen + digest_bytes);
}

void Connection::answer(uint16_t index, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t host_bytes) {
  Slot& slot = slots_[index];
  slot.head_bytes = slot.tail_bytes = 0;
  const bool data = status == 0 && host_bytes > 0 && slot.data_length > 0 && direction_of(slot.sqe) == Direction::kToHost;
  slot.payload_bytes = data ? static_cast<uint32_t>(std::min<uint64_t>(host_bytes, slot.data_length)) : 0;
  bool answered = false;
  if (data) {
    // A response capsule all of whose fields are zero may be left out where it carries no SQHD either.
    answered = !flow_control_ && dw0 == 0 && dw1 == 0;
    wire::DataPdu pdu{};
    pdu.type = wire::kPduTypeC2hData;
    pdu.flags = static_cast<uint8_t>(wire::kPduFlagLastPdu | (answered ? wire::kPduFlagSuccess : 0u) | (terms_.data_digest ? wire::kPduFlagDataDigest : 0u));
    const uint32_t header = sizeof pdu + (terms_.header_digest ? kDigestBytes : 0u);
    const uint32_t aligned = (header + terms_.host_align_bytes - 1) / terms_.host_align_bytes * terms_.host_align_bytes;
    pdu.pdo = static_cast<uint8_t>(aligned);
    pdu.plen = aligned + slot.payload_bytes + (terms_.data_digest ? kDigestBytes : 0u);
    pdu.cccid = slot.sqe.cid;
    pdu.length = slot.payload_bytes;
    const uint32_t put = put_pdu(slot.head.data(), &pdu, sizeof pdu);
    std::memset(slot.head.data() + put, 0, aligned - put);
    slot.head_bytes = static_cast<uint16_t>(aligned);
    if (terms_.data_digest) {
      const uint32_t digest = crc32c(slot.data, slot.payload_bytes);
      std::memcpy(slot.tail.data(), &digest, sizeof digest);
      slot.tail_bytes = kDigestBytes;
    }
  }
  sq_head_ = (sq_head_ + 1) % entries_;
  if (!answered) {
    const bool connect = slot.sqe.opc == wire::kFabricsOpcode && (slot.sqe.nsid & 0xffu) == kConnectType;
    const auto sqhd = static_cast<uint16_t>(flow_control_ ? sq_head_ : connect ? 0xffffu : 0u);
    const wire::Cqe cqe{.dw0 = dw0, .dw1 = dw1, .sqhd = sqhd, .sqid = queue_id_, .cid = slot.sqe.cid, .status = static_cast<uint16_t>(status << 1)};
    wire::CapsuleResp pdu{};
    pdu.type = wire::kPduTypeCapsuleResp;
    std::memcpy(pdu.cqe, &cqe, sizeof cqe);
    slot.tail_bytes = static_cast<uint16_t>(slot.tail_bytes + put_pdu(slot.tail.data() + slot.tail_bytes, &pdu, sizeof pdu));
  }
  unsent_bytes_ += slot.head_bytes + uint64_t{slot.payload_bytes} + slot.tail_bytes;
  out_.push_back({index, false});
}

void Connection::release(uint16_t index) {
  Slot& slot = slots_[index];
  if (slot.data) pool_->give(slot.data, slot.data_length);
  slot.data = nullptr;
  if (slot_of_[slot.sqe.cid] == index + 1) slot_of_[slot.sqe.cid] = 0;
  free_.push_back(index);
  outstanding_--;
}

void Connection::put_control(const void* pdu, uint32_t bytes) {
  std::memcpy(control_.data(), pdu, bytes);
  control_bytes_ = control_left_ = bytes;
}

void Connection::refuse(Fault fault) {
  if (state_ != State::kOpen) return;
  state_ = State::kBroken;
  fault_ = fault;
  // What was begun to be sent is ended, so that the host finds the PDU behind it.
  const size_t keep = out_sent_ > 0 ? 1 : 0;
  while (out_.size() > keep) out_.pop_back();
  const size_t blamed = std::min({in_end_ - in_begin_, static_cast<size_t>(kHeaderBytesMax), size_t{sizeof(wire::CapsuleCmd)}});
  std::array<std::byte, kTermReqBytesMax> bytes{};
  wire::TermReq pdu{};
  pdu.type = wire::kPduTypeC2hTermReq;
  pdu.hlen = sizeof pdu;
  pdu.plen = static_cast<uint32_t>(sizeof pdu + blamed);
  pdu.fes = static_cast<uint16_t>(fault.reason);
  pdu.fei_low = static_cast<uint16_t>(fault.info);
  pdu.fei_high = static_cast<uint16_t>(fault.info >> 16);
  std::memcpy(bytes.data(), &pdu, sizeof pdu);
  std::memcpy(bytes.data() + sizeof pdu, in_.get() + in_begin_, blamed);
  put_control(bytes.data(), pdu.plen);
}

void Connection::flush() {
  constexpr size_t kPartsMax = 120;
  while (wants_flush()) {
    iovec parts[kPartsMax + 4];
    size_t n = 0;
    const auto add = [&](std::byte* at, size_t bytes) {
      if (bytes > 0) parts[n++] = {at, bytes};
    };
    uint64_t asked = 0;
    for (const Out& out : out_) {
      if (n >= kPartsMax) break;
      Slot& slot = slots_[out.slot];
      if (out.is_r2t) {
        add(slot.r2t.data(), slot.r2t_bytes);
        continue;
      }
      add(slot.head.data(), slot.head_bytes);
      add(slot.data, slot.payload_bytes);
      add(slot.tail.data(), slot.tail_bytes);
    }
    if (n < kPartsMax && control_left_ > 0) add(control_.data() + (control_bytes_ - control_left_), control_left_);
    // The first was sent in part.
    size_t first = 0;
    for (uint64_t skip = out_sent_; skip > 0;) {
      const auto part = static_cast<size_t>(std::min<uint64_t>(skip, parts[first].iov_len));
      parts[first].iov_base = static_cast<std::byte*>(parts[first].iov_base) + part;
      parts[first].iov_len -= part;
      skip -= part;
      if (parts[first].iov_len == 0) first++;
    }
    for (size_t i = first; i < n; i++) asked += parts[i].iov_len;
    msghdr message{};
    message.msg_iov = parts + first;
    message.msg_iovlen = n - first;
    const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      writable_ = false;
      return;
    }
    if (sent < 0) {
      state_ = State::kHostLeft;
      return;
    }
    out_bytes_ += static_cast<uint64_t>(sent);
    if (static_cast<uint64_t>(sent) < asked) writable_ = false;
    uint64_t left = out_sent_ + static_cast<uint64_t>(sent);
    while (!out_.empty()) {
      const Out out = out_.front();
      const Slot& slot = slots_[out.slot];
      const uint64_t bytes = out.is_r2t ? slot.r2t_bytes : slot.head_bytes + uint64_t{slot.payload_bytes} + slot.tail_bytes;
      if (left < bytes) break;
      left -= bytes;
      unsent_bytes_ -= bytes;
      out_.pop_front();
      if (!out.is_r2t) release(out.slot);
    }
    if (out_.empty() && left > 0) {
      control_left_ -= static_cast<uint32_t>(left);
      left = 0;
      if (control_left_ == 0) parse();  // what came behind ICReq
    }
    out_sent_ = left;
  }
}

uint64_t Connection::stalled_ms(uint64_t now_ms) {
  const uint64_t progress = in_bytes_ + out_bytes_;
  const bool within = phase_ != Phase::kHeader || (in_end_ > in_begin_ && !blocked_) || gathering_ > 0 || unsent();
  if (!within || progress != progress_seen_ || progress_ms_ == 0) {
    progress_seen_ = progress;
    progress_ms_ = now_ms;
    return 0;
  }
  return now_ms - progress_ms_;
}

}  // namespace millrace::tcp
