// What a host is sent: answers with their data, R2Ts, the word that ends a connection. What it sends: connection.cc.
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/crc32c.h"
#include "core/invariant.h"
#include "core/tcp/connection.h"

namespace millrace::tcp {

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
    const bool connect = slot.sqe.opc == wire::kFabricsOpcode && (slot.sqe.nsid & 0xffu) == wire::kFabricsConnect;
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

}  // namespace millrace::tcp
