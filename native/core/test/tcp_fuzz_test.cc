// Broken hosts against the NVMe/TCP door: every answer is a known PDU or a closed connection, nothing hangs or grows, and a
// host that behaves is served meanwhile. A failure prints the case as JSON; PDU_CASE='...' runs just that one.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <string>

#include "tcp_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

using Bytes = std::vector<std::byte>;

std::string hex(const Bytes& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : bytes) text += {kDigits[static_cast<uint8_t>(b) >> 4], kDigits[static_cast<uint8_t>(b) & 15]};
  return text;
}

Bytes unhex(std::string_view text) {
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

Case case_of(const std::string& json) {
  const auto number = [&](const char* key) { return static_cast<uint32_t>(std::strtoul(json.c_str() + json.find(key) + std::strlen(key), nullptr, 10)); };
  const size_t from = json.find("\"bytes\":\"") + 9;
  return {unhex(std::string_view(json).substr(from, json.find('"', from) - from)), number("\"piece\":"), number("\"halfClose\":") != 0, number("\"waitAt\":")};
}

UniqueFd dial(uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  return fd;
}

template <typename T>
void append(Bytes& to, const T& value) {
  to.resize(to.size() + sizeof value);
  std::memcpy(to.data() + to.size() - sizeof value, &value, sizeof value);
}

void add_digest(Bytes& bytes, size_t from) {
  append(bytes, crc32c(bytes.data() + from, bytes.size() - from));
}

Bytes ic_request(uint8_t digests) {
  wire::IcReq pdu{};
  pdu.type = wire::kPduTypeIcReq;
  pdu.hlen = sizeof pdu;
  pdu.plen = sizeof pdu;
  pdu.digests = digests;
  Bytes bytes;
  append(bytes, pdu);
  return bytes;
}

void add_command(Bytes& to, wire::Sqe sqe, const Bytes& data, uint32_t length, uint8_t digests) {
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

void add_data(Bytes& to, uint16_t cccid, uint16_t ttag, uint32_t offset, uint32_t bytes, uint8_t flags, uint8_t digests) {
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

Bytes connect_data() {
  wire::ConnectData data{};
  data.hostid[0] = 9;
  data.cntlid = 0xffff;
  std::strcpy(reinterpret_cast<char*>(data.subnqn), kTcpSubsystem);
  std::strcpy(reinterpret_cast<char*>(data.hostnqn), kTcpHost);
  Bytes bytes;
  append(bytes, data);
  return bytes;
}

wire::Sqe fabrics(uint32_t type, uint16_t cid) {
  wire::Sqe sqe{};
  sqe.opc = wire::kFabricsOpcode;
  sqe.nsid = type;
  sqe.cid = cid;
  return sqe;
}

/** A host that behaves: introduction, enable, Identify, a program by R2T and its data, Get Log Page. PDU boundaries in `starts`. */
Bytes good_host(uint8_t digests, std::vector<size_t>& starts) {
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
void check_door(TestDevice& d) {
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

void check_quiet(TestDevice& d) {
  while (d.device->associations() > 0 || d.device->tcp()->connections() > 0) std::this_thread::yield();
}

}  // namespace

TEST(tcp_fuzz_replays) {
  const char* given = std::getenv("PDU_CASE");
  // Without one: a host that ends its session in the middle of a command.
  const std::string text = given ? given : Case{ic_request(3), 7, true, 0}.json();
  CHECK(case_of(text).json() == text);
  TestDevice d(0, 16ull << 20, false, open_tcp);
  Oracle(d).run(case_of(text));
  check_door(d);
}

TEST(tcp_fuzz_cuts_a_good_session_at_every_byte_of_its_headers) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  Oracle oracle(d);
  for (const uint8_t digests : {0, 3}) {
    std::vector<size_t> starts;
    const Bytes all = good_host(digests, starts);
    for (size_t i = 0; i < starts.size(); i++)
      for (size_t within = 0; within < 84 && starts[i] + within < all.size(); within += rounds(1) > 1 ? 1 : 3)
        oracle.run({{all.begin(), all.begin() + static_cast<ptrdiff_t>(starts[i] + within)}, 0, true, static_cast<uint32_t>(starts[2])});
    oracle.run({all, 1 + static_cast<uint32_t>(digests) * 6, true, static_cast<uint32_t>(starts[2])});
  }
  check_quiet(d);
  check_door(d);
}

TEST(tcp_fuzz_changes_fields_and_bytes_of_a_good_session) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  Oracle oracle(d);
  TcpHost neighbour(d);
  Random random(70);
  const uint32_t cases = rounds(150);
  for (uint32_t i = 0; i < cases; i++) {
    const uint8_t digests = static_cast<uint8_t>(random.below(4));
    std::vector<size_t> starts;
    Bytes all = good_host(digests, starts);
    const size_t start = starts[random.below(static_cast<uint32_t>(starts.size()))];
    const uint32_t changes = 1 + random.below(3);
    for (uint32_t k = 0; k < changes; k++) {
      const size_t at = std::min(all.size() - 4, start + random.below(24));
      switch (random.below(4)) {
        case 0: all[at] = static_cast<std::byte>(random.next()); break;
        case 1: all[at] ^= static_cast<std::byte>(1u << random.below(8)); break;
        case 2: all.insert(all.begin() + static_cast<ptrdiff_t>(at), static_cast<std::byte>(random.next())); break;
        default: {
          const uint32_t values[] = {0, 1, 0xffffffff, 0x80000000, 4096, 8193, static_cast<uint32_t>(random.next())};
          const uint32_t value = values[random.below(7)];
          std::memcpy(all.data() + at, &value, sizeof value);
        }
      }
    }
    // With its digest made right again, the change gets past the first gate.
    if ((digests & 1) && start > 0 && random.below(2)) {
      const size_t hlen = all[start] == std::byte{wire::kPduTypeCapsuleCmd} ? 72 : 24;
      if (start + hlen + 4 <= all.size()) {
        const uint32_t digest = crc32c(all.data() + start, hlen);
        std::memcpy(all.data() + start + hlen, &digest, sizeof digest);
      }
    }
    oracle.run({std::move(all), random.below(3) == 0 ? 1 + random.below(500) : 0, random.below(2) == 0, static_cast<uint32_t>(starts[2])});
    if (i % 25 == 0) {
      Bytes data(4096);
      CHECK(status_of(neighbour.io.run(read_blocks(i % 100, 1), data)) == 0);
    }
  }
  check_door(d);
}

TEST(tcp_fuzz_sends_pdus_nobody_asked_for) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  Oracle oracle(d);
  Random random(71);
  const uint32_t cases = rounds(100);
  for (uint32_t i = 0; i < cases; i++) {
    std::vector<size_t> starts;
    const uint8_t digests = static_cast<uint8_t>(random.below(4));
    const Bytes good = good_host(digests, starts);
    Bytes all(good.begin(), good.begin() + static_cast<ptrdiff_t>(starts[1 + random.below(static_cast<uint32_t>(starts.size()) - 1)]));
    for (uint32_t k = 0; k < 4; k++) {
      switch (random.below(7)) {
        case 0: add_data(all, static_cast<uint16_t>(random.below(6)), static_cast<uint16_t>(random.below(40)), random.below(30'000), 1 + random.below(9000), static_cast<uint8_t>(random.below(2) * 4), digests); break;
        case 1: add_data(all, 3, 5, 12'000, 8001, wire::kPduFlagLastPdu, digests); break;  // beyond its R2T
        case 2: {
          wire::Sqe sqe{};
          for (auto* w = reinterpret_cast<uint64_t*>(&sqe); w < reinterpret_cast<uint64_t*>(&sqe + 1); w++) *w = random.next();
          sqe.cid = static_cast<uint16_t>(random.below(6));  // often outstanding already
          add_command(all, sqe, random.below(2) ? Bytes() : Bytes(1 + random.below(8192)), random.below(3) ? random.below(10'000) : static_cast<uint32_t>(random.next()), digests);
          break;
        }
        case 3: {
          const Bytes again = ic_request(digests);
          all.insert(all.end(), again.begin(), again.end());
          break;
        }
        case 4: {
          wire::TermReq pdu{};
          pdu.type = wire::kPduTypeH2cTermReq;
          pdu.hlen = 24;
          pdu.plen = 24 + random.below(200);
          append(all, pdu);
          break;
        }
        case 5: add_command(all, fabrics(random.below(12), static_cast<uint16_t>(random.below(64))), random.below(2) ? Bytes() : connect_data(), 1024, digests); break;
        default:
          for (uint32_t n = random.below(300); n > 0; n--) all.push_back(static_cast<std::byte>(random.next()));
      }
    }
    oracle.run({std::move(all), random.below(4) == 0 ? 1 + random.below(3000) : 0, random.below(2) == 0, static_cast<uint32_t>(starts[2])});
  }
  check_door(d);
}

TEST(tcp_fuzz_names_the_fault_of_a_broken_pdu) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  struct Expected {
    const char* what;
    Bytes bytes;
    uint32_t reason;
    uint32_t info;
  };
  std::vector<Expected> all;
  const auto changed = [](Bytes bytes, size_t at, uint8_t value) {
    bytes[at] = static_cast<std::byte>(value);
    return bytes;
  };
  const auto after = [](uint8_t digests, const auto& more) {
    Bytes bytes = ic_request(digests);
    more(bytes);
    return bytes;
  };
  constexpr uint32_t kInvalid = wire::kTermReasonInvalidHeaderField, kSequence = wire::kTermReasonSequenceError;
  all.push_back({"a command before ICReq", after(0, [](Bytes& b) { b.clear(); add_command(b, {}, {}, 0, 0); }), kSequence, 0});
  all.push_back({"ICReq twice", after(0, [](Bytes& b) { const Bytes again = ic_request(0); b.insert(b.end(), again.begin(), again.end()); }), kSequence, 0});
  all.push_back({"another PFV", changed(ic_request(0), 8, 1), wire::kTermReasonUnsupportedParameter, 8});
  all.push_back({"an HPDA that is too large", changed(ic_request(0), 10, 32), kInvalid, 10});
  all.push_back({"unknown digests", changed(ic_request(0), 11, 4), kInvalid, 11});
  all.push_back({"a PDU type of the controller", after(0, [](Bytes& b) { add_command(b, {}, {}, 0, 0); b[128] = std::byte{wire::kPduTypeC2hData}; }), kInvalid, 0});
  all.push_back({"another HLEN", after(0, [](Bytes& b) { add_command(b, {}, {}, 0, 0); b[130] = std::byte{71}; }), kInvalid, 2});
  all.push_back({"a digest flag that was not agreed", after(0, [](Bytes& b) { add_command(b, {}, {}, 0, 0); b[129] = std::byte{1}; }), kInvalid, 1});
  all.push_back({"a PDO inside the header", after(0, [](Bytes& b) { add_command(b, {}, Bytes(8), 8, 0); b[131] = std::byte{68}; }), kInvalid, 3});
  all.push_back({"a PLEN below the header", after(0, [](Bytes& b) { add_command(b, {}, {}, 0, 0); b[132] = std::byte{60}; }), kInvalid, 4});
  all.push_back({"more in the capsule than IOCCSZ", after(0, [](Bytes& b) { add_command(b, {}, Bytes(8196), 8196, 0); }), wire::kTermReasonLimitExceeded, 0});
  all.push_back({"H2CData nobody asked for", after(0, [](Bytes& b) { add_data(b, 0, 0, 0, 64, 4, 0); }), kInvalid, 10});
  Bytes wrong_digest = after(1, [](Bytes& b) { add_command(b, {}, {}, 0, 1); });
  wrong_digest.back() ^= std::byte{0xff};
  uint32_t digest = 0;
  std::memcpy(&digest, wrong_digest.data() + wrong_digest.size() - 4, 4);
  all.push_back({"a wrong header digest", wrong_digest, wire::kTermReasonHeaderDigestError, digest});
  for (const Expected& e : all) {
    const UniqueFd fd = dial(d.device->tcp()->port());
    CHECK(::send(fd.get(), e.bytes.data(), e.bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(e.bytes.size()));
    Bytes answer(4096);
    size_t got = 0;
    for (ssize_t n = 0; (n = ::recv(fd.get(), answer.data() + got, answer.size() - got, 0)) > 0;) got += static_cast<size_t>(n);
    const size_t at = got >= 128 && answer[0] == std::byte{wire::kPduTypeIcResp} ? 128 : 0;
    wire::TermReq term{};
    if (got >= at + sizeof term) std::memcpy(&term, answer.data() + at, sizeof term);
    if (term.type != wire::kPduTypeC2hTermReq || term.fes != e.reason || (uint32_t{term.fei_high} << 16 | term.fei_low) != e.info) {
      std::fprintf(stderr, "%s: type %u, reason %u, information %u after %zu bytes\n", e.what, term.type, term.fes, uint32_t{term.fei_high} << 16 | term.fei_low, got);
      std::abort();
    }
  }
}

TEST(tcp_fuzz_wrong_data_fails_its_command_alone) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  constexpr uint8_t kDigests = wire::kPduFlagDataDigest;
  std::vector<size_t> starts;
  const Bytes all = good_host(kDigests, starts);
  const UniqueFd fd = dial(d.device->tcp()->port());
  Bytes answer;
  // Sends, and waits for the next PDU of that type.
  const auto exchange = [&](const Bytes& bytes, uint8_t type) {
    CHECK(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
    for (;;) {
      wire::PduHeader h{};
      if (answer.size() >= sizeof h) std::memcpy(&h, answer.data(), sizeof h);
      if (h.plen > 0 && answer.size() >= h.plen) {
        const Bytes pdu(answer.begin(), answer.begin() + h.plen);
        answer.erase(answer.begin(), answer.begin() + h.plen);
        if (h.type == type) return pdu;
        continue;
      }
      std::byte more[4096];
      const ssize_t n = ::recv(fd.get(), more, sizeof more, 0);
      CHECK(n > 0);
      answer.insert(answer.end(), more, more + n);
    }
  };
  const auto part = [&](size_t from, size_t to) { return Bytes(all.begin() + static_cast<ptrdiff_t>(starts[from]), all.begin() + static_cast<ptrdiff_t>(starts[to])); };
  const auto status = [](const Bytes& pdu) {
    wire::Cqe cqe;
    std::memcpy(&cqe, pdu.data() + 8, sizeof cqe);
    return status_of(cqe);
  };
  exchange(part(0, 1), wire::kPduTypeIcResp);
  CHECK(status(exchange(part(1, 2), wire::kPduTypeCapsuleResp)) == 0);
  CHECK(status(exchange(part(2, 3), wire::kPduTypeCapsuleResp)) == 0);
  const Bytes r2t = exchange(part(4, 5), wire::kPduTypeR2t);
  wire::DataPdu asked;
  std::memcpy(&asked, r2t.data(), sizeof asked);
  CHECK(asked.length == 20'000 && asked.offset == 0);
  Bytes data;
  add_data(data, 3, asked.ttag, 0, 12'000, 0, kDigests);
  data.back() ^= std::byte{1};
  add_data(data, 3, asked.ttag, 12'000, 8000, wire::kPduFlagLastPdu, kDigests);
  CHECK(status(exchange(data, wire::kPduTypeCapsuleResp)) == 0x022);  // Transient Transport Error
  const Bytes small(all.begin() + static_cast<ptrdiff_t>(starts[7]), all.end());
  CHECK(status(exchange(small, wire::kPduTypeCapsuleResp)) == 0);
}

TEST(tcp_door_is_open_however_many_stand_silent_in_it) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  std::vector<UniqueFd> silent;
  for (uint32_t i = 0; i < kTcpLobbyMax + 40; i++) {
    silent.push_back(dial(d.device->tcp()->port()));
    const Bytes hello = ic_request(0);
    if (i % 3 == 1) CHECK(::send(silent.back().get(), hello.data(), 1 + i % 127, MSG_NOSIGNAL) > 0);
    if (i % 3 == 2) CHECK(::send(silent.back().get(), hello.data(), hello.size(), MSG_NOSIGNAL) > 0);
    if (i % 40 == 0) check_door(d);
  }
  check_door(d);
  // No more are kept than may be.
  while (d.device->tcp()->connections() > kTcpLobbyMax + 2) std::this_thread::yield();
  // Storms of connections that say something and leave.
  for (int i = 0; i < 200; i++) {
    const UniqueFd fd = dial(d.device->tcp()->port());
    const Bytes hello = ic_request(static_cast<uint8_t>(i % 4));
    if (i % 2) CHECK(::send(fd.get(), hello.data(), hello.size(), MSG_NOSIGNAL) > 0);
  }
  check_door(d);
  silent.clear();
  check_quiet(d);
}

TEST(tcp_hosts_that_do_not_read_stall_themselves_only) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  TcpHost greedy(d);
  TcpHost other(d);
  constexpr uint16_t kCommands = 128;
  std::vector<Bytes> data(kCommands, Bytes(1 << 20));
  for (uint16_t cid = 0; cid < kCommands; cid++) {
    wire::Sqe sqe = read_blocks(cid, 256);
    sqe.cid = cid;
    greedy.io.submit(sqe, data[cid]);  // 128 MiB asked for, twice what a host may hold
  }
  wire::Cqe cqes[16];
  CHECK(greedy.io.poll(cqes, 0) == 0);
  for (int i = 0; i < 50; i++) {
    Bytes mine(4096);
    CHECK(status_of(other.io.run(read_blocks(static_cast<uint64_t>(i), 1), mine)) == 0);
  }
  uint32_t done = 0;
  while (done < kCommands) {
    const uint32_t n = greedy.io.poll(cqes, 16);
    if (n == 0) CHECK(greedy.io.wait(20'000));
    for (uint32_t i = 0; i < n; i++) CHECK(status_of(cqes[i]) == 0);
    done += n;
  }
}

TEST(tcp_hosts_together_hold_no_more_than_the_device_gives) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  constexpr uint16_t kCommands = 64;
  constexpr uint32_t kHosts = 5;  // 64 MiB each is more than there is
  std::vector<std::unique_ptr<TcpHost>> greedy;
  std::vector<std::vector<Bytes>> data(kHosts, std::vector<Bytes>(kCommands, Bytes(1 << 20)));
  for (uint32_t h = 0; h < kHosts; h++) {
    greedy.push_back(std::make_unique<TcpHost>(d));
    for (uint16_t cid = 0; cid < kCommands; cid++) {
      wire::Sqe sqe = read_blocks(cid, 256);
      sqe.cid = cid;
      greedy[h]->io.submit(sqe, data[h][cid]);
    }
    wire::Cqe none[1];
    CHECK(greedy[h]->io.poll(none, 0) == 0);
  }
  uint64_t most = 0;
  TcpHost modest(d);
  for (int i = 0; i < 50; i++) {
    Bytes mine(2 << 20);  // all a host has for itself, when nothing is left of what is shared
    CHECK(status_of(modest.io.run(read_blocks(static_cast<uint64_t>(i), 512), mine)) == 0);
    most = std::max(most, d.device->tcp_shared_bytes());
    CHECK(most <= kTcpSharedBytesMax);
  }
  CHECK(most > kTcpSharedBytesMax - (4 << 20));
  // Whoever reads gets everything, in turns.
  std::vector<uint32_t> done(kHosts, 0);
  for (uint32_t h = 0; h < kHosts; h++)
    while (done[h] < kCommands) {
      wire::Cqe cqes[16];
      const uint32_t n = greedy[h]->io.poll(cqes, 16);
      if (n == 0) CHECK(greedy[h]->io.wait(20'000));
      for (uint32_t i = 0; i < n; i++) CHECK(status_of(cqes[i]) == 0);
      done[h] += n;
    }
  greedy.clear();
  while (d.device->associations() > 1) std::this_thread::yield();
  CHECK(d.device->tcp_shared_bytes() == 0);
}
