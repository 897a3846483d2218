// What a PDU from a host may look like. Pure: every field is checked here before anything acts on it.
#pragma once
#include <cstdint>
#include <optional>

#include "core/limits.h"
#include "wire/wire.gen.h"

namespace millrace::tcp {

/** Why a connection must end (NVMe/TCP transport 1.0, 3.6.2.6): goes to the host in a C2HTermReq. */
struct Fault {
  uint32_t reason;  // wire::TermReason
  uint32_t info;    // offset of the field, or the digest that came
};

/** What both sides agreed on by ICReq and ICResp. */
struct Terms {
  bool header_digest = false;
  bool data_digest = false;
  /** Alignment of data the host wants. */
  uint32_t host_align_bytes = 4;
};

inline constexpr uint32_t kDigestBytes = 4;
inline constexpr uint32_t kHeaderBytesMax = 128;
/** TermReq: header and what it says about the PDU at fault. */
inline constexpr uint32_t kTermReqBytesMax = 152;

/** Bytes before the data of a PDU (where there is none: the whole PDU). */
inline uint32_t header_span(const wire::PduHeader& h, const Terms& terms) {
  const uint32_t header = h.hlen + (terms.header_digest && (h.type == wire::kPduTypeCapsuleCmd || h.type == wire::kPduTypeH2cData) ? kDigestBytes : 0u);
  return h.plen > header && h.pdo > header ? h.pdo : header;
}

/** Data bytes of a checked CapsuleCmd or H2CData. */
inline uint32_t data_bytes(const wire::PduHeader& h, const Terms& terms) {
  const uint32_t before = header_span(h, terms);
  return h.plen == before ? 0 : h.plen - before - (terms.data_digest ? kDigestBytes : 0u);
}

/** nullopt: it may go on. `initialized`: ICReq and ICResp are over. */
inline std::optional<Fault> check_header(const wire::PduHeader& h, const Terms& terms, bool initialized) {
  constexpr uint32_t kTypeAt = 0, kFlagsAt = 1, kHlenAt = 2, kPdoAt = 3, kPlenAt = 4;
  const auto invalid = [](uint32_t at) { return Fault{wire::kTermReasonInvalidHeaderField, at}; };
  uint32_t hlen = 0;
  switch (h.type) {
    case wire::kPduTypeIcReq: hlen = sizeof(wire::IcReq); break;
    case wire::kPduTypeH2cTermReq: hlen = sizeof(wire::TermReq); break;
    case wire::kPduTypeCapsuleCmd: hlen = sizeof(wire::CapsuleCmd); break;
    case wire::kPduTypeH2cData: hlen = sizeof(wire::DataPdu); break;
    default: return invalid(kTypeAt);
  }
  if (h.type == wire::kPduTypeIcReq ? initialized : !initialized && h.type != wire::kPduTypeH2cTermReq) return Fault{wire::kTermReasonSequenceError, 0};
  if (h.hlen != hlen) return invalid(kHlenAt);
  if (h.type == wire::kPduTypeIcReq) {
    if (h.flags != 0) return invalid(kFlagsAt);
    return h.plen == hlen ? std::nullopt : std::optional(invalid(kPlenAt));
  }
  if (h.type == wire::kPduTypeH2cTermReq) return h.plen >= hlen && h.plen <= kTermReqBytesMax ? std::nullopt : std::optional(invalid(kPlenAt));

  const uint32_t header = hlen + (terms.header_digest ? kDigestBytes : 0u);
  const uint32_t trailer = terms.data_digest ? kDigestBytes : 0u;
  if (((h.flags & wire::kPduFlagHeaderDigest) != 0) != terms.header_digest) return invalid(kFlagsAt);
  if (h.plen < header) return invalid(kPlenAt);
  const bool has_data = h.plen > header;
  if (!has_data && h.type == wire::kPduTypeH2cData) return invalid(kPlenAt);
  if (((h.flags & wire::kPduFlagDataDigest) != 0) != (has_data && terms.data_digest)) return invalid(kFlagsAt);
  if ((h.flags & wire::kPduFlagSuccess) != 0 || (h.type == wire::kPduTypeCapsuleCmd && (h.flags & wire::kPduFlagLastPdu) != 0)) return invalid(kFlagsAt);
  if (!has_data) return std::nullopt;
  if (h.pdo < header || h.pdo % 4 != 0) return invalid(kPdoAt);
  if (h.plen <= h.pdo + trailer) return invalid(kPlenAt);
  const uint32_t most = h.type == wire::kPduTypeCapsuleCmd ? kTcpInCapsuleBytes : kTcpH2cDataBytesMax;
  if (h.plen - h.pdo - trailer > most) return Fault{wire::kTermReasonLimitExceeded, 0};
  return std::nullopt;
}

/** How data of a command moves, NVMe base specification 2.0, 3.3.3.1: opcode bits 1:0 (of Fabrics commands: the type's). Both ways is sent as to the controller, as Linux does. */
enum class Direction : uint8_t { kNone, kToController, kToHost };
inline Direction direction_of(const wire::Sqe& sqe) {
  const uint32_t bits = (sqe.opc == wire::kFabricsOpcode ? sqe.nsid : sqe.opc) & 3u;  // the type stands where others have the low byte of nsid
  return (bits & 1u) ? Direction::kToController : bits ? Direction::kToHost : Direction::kNone;
}

/** The one SGL descriptor of a command. */
struct Sgl {
  uint64_t address;
  uint32_t length;
  uint8_t type;
};
inline Sgl sgl_of(const wire::Sqe& sqe) { return {sqe.prp1, static_cast<uint32_t>(sqe.prp2), static_cast<uint8_t>(sqe.prp2 >> 56)}; }

}  // namespace millrace::tcp
