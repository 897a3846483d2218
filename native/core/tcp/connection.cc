// What a host sends: PDUs found in the stream, data gathered, commands made ready. What it is sent: connection_out.cc.
#include "core/tcp/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/crc32c.h"

namespace millrace::tcp {

namespace {

constexpr size_t kInBytes = 64 << 10;
constexpr uint32_t kIntroducingEntries = 4;  // Connect, then one authentication command after the other
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
