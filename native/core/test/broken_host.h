// A host over NVMe/TCP that sends what it likes: PDUs made by hand, a session that behaves to be broken in many ways, and an oracle of
// what may come back: known PDUs, or a closed connection. A failure prints the case as JSON; PDU_CASE='...' runs just that one.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>

#include "tcp_host.h"

namespace millrace::test {

using Bytes = std::vector<std::byte>;

inline std::string hex(const Bytes& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : bytes) text += {kDigits[static_cast<uint8_t>(b) >> 4], kDigits[static_cast<uint8_t>(b) & 15]};
  return text;
}

inline Bytes unhex(std::string_view text) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) bytes.push_back(static_cast<std::byte>(std::strtoul(std::string(text.substr(i, 2)).c_str(), nullptr, 16)));
  return bytes;
}

/** What one broken host sends, in pieces of which size, and where it waits for an answer (to Connect) first. */
struct Case {
  Bytes bytes;
  uint32_t piece = 0;  // 0: at once
  bool half_close = false;
  uint32_t wait_at = 0;
  std::string json() const { return "{\"bytes\":\"" + hex(bytes) + "\",\"piece\":" + std::to_string(piece) + ",\"halfClose\":" + (half_close ? "1" : "0") + ",\"waitAt\":" + std::to_string(wait_at) + "}"; }
};

inline Case case_of(const std::string& json) {
  const auto number = [&](const char* key) { return static_cast<uint32_t>(std::strtoul(json.c_str() + json.find(key) + std::strlen(key), nullptr, 10)); };
  const size_t from = json.find("\"bytes\":\"") + 9;
  return {unhex(std::string_view(json).substr(from, json.find('"', from) - from)), number("\"piece\":"), number("\"halfClose\":") != 0, number("\"waitAt\":")};
}

inline UniqueFd dial(uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  return fd;
}

template <typename T>
inline void append(Bytes& to, const T& value) {
  to.resize(to.size() + sizeof value);
  std::memcpy(to.data() + to.size() - sizeof value, &value, sizeof value);
}

inline void add_digest(Bytes& bytes, size_t from) {
  append(bytes, crc32c(bytes.data() + from, bytes.size() - from));
}

inline Bytes ic_request(uint8_t digests) {
  wire::IcReq pdu{};
  pdu.type = wire::kPduTypeIcReq;
  pdu.hlen = sizeof pdu;
  pdu.plen = sizeof pdu;
  pdu.digests = digests;
  Bytes bytes;
  append(bytes, pdu);
  return bytes;
}

inline void add_command(Bytes& to, wire::Sqe sqe, const Bytes& data, uint32_t length, uint8_t digests) {
  sqe.flags = 1u << 6;
  sqe.prp1 = 0;
  sqe.prp2 = length | uint64_t{!data.empty() ? wire::kSglTypeInCapsule : wire::kSglTypeTransport} << 56;
  const uint32_t header = 72 + (digests & 1 ? 4 : 0);
  wire::CapsuleCmd pdu{};
  pdu.type = wire::kPduTypeCapsuleCmd;
  pdu.flags = static_cast<uint8_t>((digests & 1) | (!data.empty() ? digests & 2 : 0));
  pdu.hlen = 72;
  pdu.pdo = static_cast<uint8_t>(data.empty() ? 0 : header);
  pdu.plen = static_cast<uint32_t>(header + data.size() + (!data.empty() && digests & 2 ? 4 : 0));
  std::memcpy(pdu.sqe, &sqe, sizeof sqe);
  const size_t at = to.size();
  append(to, pdu);
  if (digests & 1) add_digest(to, at);
  const size_t data_at = to.size();
  to.insert(to.end(), data.begin(), data.end());
  if (!data.empty() && digests & 2) add_digest(to, data_at);
}

inline void add_data(Bytes& to, uint16_t cccid, uint16_t ttag, uint32_t offset, uint32_t bytes, uint8_t flags, uint8_t digests) {
  wire::DataPdu pdu{};
  const uint32_t header = 24 + (digests & 1 ? 4 : 0);
  pdu.type = wire::kPduTypeH2cData;
  pdu.flags = static_cast<uint8_t>(flags | (digests & 3));
  pdu.hlen = 24;
  pdu.pdo = static_cast<uint8_t>(header);
  pdu.plen = header + bytes + (digests & 2 ? 4 : 0);
  pdu.cccid = cccid;
  pdu.ttag = ttag;
  pdu.offset = offset;
  pdu.length = bytes;
  const size_t at = to.size();
  append(to, pdu);
  if (digests & 1) add_digest(to, at);
  const size_t data_at = to.size();
  to.resize(to.size() + bytes, std::byte{0x5a});
  if (digests & 2) add_digest(to, data_at);
}

inline Bytes connect_data() {
  wire::ConnectData data{};
  data.hostid[0] = 9;
  data.cntlid = 0xffff;
  std::strcpy(reinterpret_cast<char*>(data.subnqn), kTcpSubsystem);
  std::strcpy(reinterpret_cast<char*>(data.hostnqn), kTcpHost);
  Bytes bytes;
  append(bytes, data);
  return bytes;
}

inline wire::Sqe fabrics(uint32_t type, uint16_t cid) {
  wire::Sqe sqe{};
  sqe.opc = wire::kFabricsOpcode;
  sqe.nsid = type;
  sqe.cid = cid;
  return sqe;
}

/** A host that behaves: introduction, enable, Identify, a program by R2T and its data, Get Log Page. PDU boundaries in `starts`. */
inline Bytes good_host(uint8_t digests, std::vector<size_t>& starts) {
  constexpr uint16_t kTtag = 5;  // the R2T's, when all behind Connect comes in one piece
  Bytes all = ic_request(digests);
  const auto next = [&] { starts.push_back(all.size()); };
  starts.push_back(0);
  next();
  wire::Sqe connect = fabrics(wire::kFabricsConnect, 0);
  connect.cdw11 = 31;
  add_command(all, connect, connect_data(), 1024, digests);
  next();
  wire::Sqe enable = fabrics(wire::kFabricsPropertySet, 1);
  enable.cdw11 = 0x14;
  enable.cdw12 = 0x00460061;
  add_command(all, enable, {}, 0, digests);
  next();
  wire::Sqe identify{};
  identify.opc = wire::kOpcodeAdminIdentify;
  identify.cid = 2;
  identify.cdw10 = 1;
  add_command(all, identify, {}, 4096, digests);
  next();
  wire::Sqe load{};
  load.opc = wire::kOpcodeAdminLoadProgram;
  load.nsid = wire::kNsidCompute;
  load.cid = 3;
  load.cdw11 = load.cdw14 = 20'000;
  add_command(all, load, {}, 20'000, digests);
  next();
  add_data(all, 3, kTtag, 0, 12'000, 0, digests);
  next();
  add_data(all, 3, kTtag, 12'000, 8000, wire::kPduFlagLastPdu, digests);
  next();
  wire::Sqe small = load;
  small.cid = 4;
  small.cdw10 = 1;
  small.cdw11 = small.cdw14 = 64;
  add_command(all, small, Bytes(64), 64, digests);
  return all;
}

/** The door still lets in a host that behaves, and serves it. */
inline void check_door(TestDevice& d) {
  TcpHost host(d);
  Bytes data(4096);
  CHECK(status_of(host.io.run(read_blocks(1, 1), data)) == 0);
}

class Oracle {
 public:
  explicit Oracle(TestDevice& d) : d_(d) {}

  void run(const Case& c) {
    const UniqueFd fd = dial(d_.device->tcp()->port());
    const size_t piece = c.piece == 0 ? c.bytes.size() : c.piece;
    Bytes answer;
    bool open = true;
    for (size_t at = 0, n = 0; at < c.bytes.size() && open; at += n) {
      n = std::min(piece, c.bytes.size() - at);
      if (at < c.wait_at) n = std::min<size_t>(n, c.wait_at - at);
      if (at > 0 && at == c.wait_at) {
        const size_t before = answer.size();
        for (int i = 0; i < 50 && open && answer.size() < before + 24; i++) open = drain(fd.get(), answer, 2);
      }
      if (::send(fd.get(), c.bytes.data() + at, n, MSG_NOSIGNAL) != static_cast<ssize_t>(n)) break;  // ended already: fine
      open = drain(fd.get(), answer, 0);
    }
    if (c.half_close) ::shutdown(fd.get(), SHUT_WR);
    // Either it says something more and waits for us, or it ends the connection; silence is a host that waits.
    for (int i = 0; i < 20 && open; i++) open = drain(fd.get(), answer, c.half_close ? 100 : 1);
    if (c.half_close && open) fail(c, "a connection whose host is gone stays open");
    check(c, answer, !open);
  }

 private:
  /** False: the other end closed it. */
  static bool drain(int fd, Bytes& into, int timeout_ms) {
    for (;;) {
      pollfd p{fd, POLLIN, 0};
      if (::poll(&p, 1, timeout_ms) <= 0) return true;
      std::byte bytes[4096];
      const ssize_t n = ::recv(fd, bytes, sizeof bytes, 0);
      if (n <= 0) return false;
      into.insert(into.end(), bytes, bytes + n);
      timeout_ms = 0;
    }
  }

  [[noreturn]] static void fail(const Case& c, const char* what) {
    std::fprintf(stderr, "%s\nreplay: PDU_CASE='%s' make -C native/core/test TEST=tcp_fuzz_replays\n", what, c.json().c_str());
    std::abort();
  }

  /** Whole, known PDUs in an order that makes sense; behind a C2HTermReq nothing. */
  static void check(const Case& c, const Bytes& answer, bool closed) {
    size_t at = 0;
    bool ended = false;
    while (answer.size() - at >= sizeof(wire::PduHeader)) {
      wire::PduHeader h;
      std::memcpy(&h, answer.data() + at, sizeof h);
      if (ended) fail(c, "something follows a C2HTermReq");
      switch (h.type) {
        case wire::kPduTypeIcResp:
          if (at != 0 || h.plen != 128) fail(c, "an ICResp that is none");
          break;
        case wire::kPduTypeCapsuleResp:
          if (h.hlen != 24 || h.plen < 24 || h.plen > 28) fail(c, "a response capsule of another length");
          break;
        case wire::kPduTypeC2hData:
          if (h.hlen != 24 || h.pdo < 24 || h.plen <= h.pdo) fail(c, "data of impossible lengths");
          break;
        case wire::kPduTypeR2t:
          if (h.hlen != 24) fail(c, "an R2T of another length");
          break;
        case wire::kPduTypeC2hTermReq: {
          wire::TermReq t{};
          if (h.hlen != sizeof t || h.plen < sizeof t || h.plen > 152 || answer.size() - at < sizeof t) fail(c, "a C2HTermReq of impossible lengths");
          std::memcpy(&t, answer.data() + at, sizeof t);
          if (t.fes < wire::kTermReasonInvalidHeaderField || t.fes > wire::kTermReasonUnsupportedParameter) fail(c, "an unknown reason");
          ended = true;
          break;
        }
        default: fail(c, "a PDU of unknown type");
      }
      if (answer.size() - at < h.plen) {
        if (closed) return;  // cut off by the end
        fail(c, "half a PDU, and the connection stays open");
      }
      at += h.plen;
    }
    if (at != answer.size() && !closed) fail(c, "bytes that are no PDU");
  }

  TestDevice& d_;
};

inline void check_quiet(TestDevice& d) {
  while (d.device->associations() > 0 || d.device->tcp()->connections() > 0) std::this_thread::yield();
}

}  // namespace millrace::test
