// Broken hosts against the NVMe/TCP door: nothing hangs or grows, and a host that behaves is served meanwhile.
#include "broken_host.h"

using namespace millrace;
using namespace millrace::test;

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
