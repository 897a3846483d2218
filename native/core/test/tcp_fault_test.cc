// What a host is told when a PDU is wrong: the fault by its name, or its command's failure alone.
#include "broken_host.h"

using namespace millrace;
using namespace millrace::test;

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
