#include <thread>

#include "tcp_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

/** Blocks 0..blocks-1 of namespace 1 hold random bytes; these are they. */
std::vector<std::byte> fill_media(TestDevice& d, uint32_t blocks, Random& random) {
  Host host(attach(d));
  std::vector<std::byte> bytes(blocks * kBlockBytes);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
  for (uint32_t at = 0; at < blocks; at += 64) {
    const uint32_t n = std::min(64u, blocks - at);
    std::memcpy(host.data(), bytes.data() + at * kBlockBytes, n * kBlockBytes);
    wire::Sqe sqe = read_blocks(at, n);
    sqe.opc = wire::kOpcodeWrite;
    CHECK(host.run(1, sqe, 0, n * kBlockBytes).status == 0);
  }
  return bytes;
}

wire::Sqe load_program(uint32_t total, uint32_t offset, uint32_t bytes) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeAdminLoadProgram;
  sqe.nsid = wire::kNsidCompute;
  sqe.cdw11 = total;
  sqe.cdw14 = bytes;
  sqe.cdw15 = offset;
  return sqe;
}

}  // namespace

TEST(tcp_reads_what_rings_wrote_with_every_kind_of_digest_alignment_and_flow_control) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  Random random(50);
  const auto media = fill_media(d, 640, random);
  for (uint32_t variant = 0; variant < 16; variant++) {
    tcp::InitiatorOptions options = tcp_options(d, variant & 1, variant & 2);
    options.align = variant & 4 ? 31 : 0;
    TcpHost host(d, options, 128, variant & 8);
    for (const uint32_t blocks : {1u, 2u, 3u, 64u, 512u}) {
      std::vector<std::byte> data(blocks * kBlockBytes);
      const uint64_t slba = random.below(640 - blocks + 1);
      const wire::Cqe cqe = host.io.run(read_blocks(slba, blocks), data);
      CHECK(status_of(cqe) == 0 && host.io.received(0) == data.size());
      CHECK(std::memcmp(data.data(), media.data() + slba * kBlockBytes, data.size()) == 0);
      if (variant & 8) CHECK(cqe.sqid == 1);
    }
  }
}

TEST(tcp_gathers_data_from_capsules_and_by_r2t) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  Random random(51);
  for (uint32_t variant = 0; variant < 4; variant++) {
    TcpHost host(d, tcp_options(d, variant & 1, variant & 2));
    // 1 B to 8 KiB come in the capsule, more by R2T, more than MAXH2CDATA in several H2CData.
    const std::vector<uint32_t> parts{1, 4096, 8192, 8193, 300'000, 2u << 20};
    uint32_t total = 0;
    for (const uint32_t part : parts) total += part;
    uint32_t offset = 0;
    for (const uint32_t part : parts) {
      std::vector<std::byte> data(part);
      CHECK(status_of(host.admin.run(load_program(total, offset, part), data)) == 0);
      offset += part;
    }
    wire::Sqe activate{};
    activate.opc = wire::kOpcodeAdminActivateProgram;
    activate.nsid = wire::kNsidCompute;
    activate.cdw10 = 1u << 16;
    CHECK(status_of(host.admin.run(activate, {})) == 0);  // LOADED: every byte arrived
  }
}

TEST(tcp_runs_many_commands_of_many_queues_at_once) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  Random random(52);
  const auto media = fill_media(d, 256, random);
  TcpHost host(d);
  std::vector<std::thread> threads;
  for (uint16_t q = 2; q < 5; q++)
    threads.emplace_back([&, q] {
      tcp::InitiatorQueue io(tcp_options(d));
      CHECK(status_of(io.connect(tcp_identity(), q, 64, host.controller_id)) == 0);
      Random mine(q);
      std::vector<std::vector<std::byte>> data(64);
      std::vector<uint64_t> slba(64);
      uint32_t sent = 0;
      uint32_t done = 0;
      const auto send = [&](uint16_t cid) {
        const uint32_t blocks = mine.below(8) == 0 ? 100 : 1 + mine.below(4);
        slba[cid] = mine.below(256 - blocks);
        data[cid].assign(blocks * kBlockBytes, std::byte{0});
        wire::Sqe sqe = read_blocks(slba[cid], blocks);
        sqe.cid = cid;
        io.submit(sqe, data[cid]);
        sent++;
      };
      for (uint16_t cid = 0; cid < 64; cid++) send(cid);
      while (done < 1000) {
        wire::Cqe cqes[16];
        const uint32_t n = io.poll(cqes, 16);
        if (n == 0) io.wait(20'000);
        for (uint32_t i = 0; i < n; i++) {
          const uint16_t cid = cqes[i].cid;
          CHECK(status_of(cqes[i]) == 0);
          CHECK(std::memcmp(data[cid].data(), media.data() + slba[cid] * kBlockBytes, data[cid].size()) == 0);
          done++;
          if (sent < 1000) send(cid);
        }
      }
    });
  for (auto& thread : threads) thread.join();
}

TEST(tcp_properties_and_states_of_a_controller) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  tcp::InitiatorQueue admin(tcp_options(d));
  // Before Connect nothing is known.
  CHECK(status_of(admin.get_property(0, true)) == wire::kStatusCommandSequenceError);
  CHECK(status_of(admin.connect(tcp_identity(), 0, 32, 0xffff)) == 0);
  CHECK(status_of(admin.connect(tcp_identity(), 0, 32, 0xffff)) == wire::kStatusCommandSequenceError);
  const wire::Cqe cap = admin.get_property(0x00, true);
  CHECK(status_of(cap) == 0 && (cap.dw0 & 0xffff) >= 127 && (cap.dw1 >> 11 & 1) == 1);
  CHECK(status_of(admin.get_property(0x00, false)) == wire::kStatusInvalidField);
  CHECK(status_of(admin.get_property(0x08, false)) == 0);
  CHECK(status_of(admin.get_property(0x24, false)) == wire::kStatusInvalidField);
  CHECK(status_of(admin.set_property(0x1c, 1)) == wire::kStatusInvalidField);
  std::vector<std::byte> page(4096);
  wire::Sqe identify{};
  identify.opc = wire::kOpcodeAdminIdentify;
  identify.cdw10 = 1;
  CHECK(status_of(admin.run(identify, page)) == wire::kStatusCommandSequenceError);  // CC.EN is 0
  {
    tcp::InitiatorQueue early(tcp_options(d));
    CHECK(status_of(early.connect(tcp_identity(), 1, 32, 1)) == wire::kStatusCommandSequenceError);
  }
  CHECK(status_of(admin.set_property(0x14, 0x00460061)) == 0);
  CHECK(admin.get_property(0x1c, false).dw0 == 1);
  tcp::InitiatorQueue io(tcp_options(d));
  CHECK(status_of(io.connect(tcp_identity(), 1, 32, 1)) == 0);
  wire::Sqe property{};
  property.opc = wire::kFabricsOpcode;
  property.nsid = wire::kFabricsPropertyGet;
  CHECK(status_of(io.run(property, {})) == wire::kStatusInvalidOpcode);  // the admin queue's
  // A reset ends I/O queues, a shutdown is answered by CSTS.SHST.
  CHECK(status_of(admin.set_property(0x14, 0x00460060)) == 0);
  CHECK(admin.get_property(0x1c, false).dw0 == 0);
  wire::Cqe cqe;
  bool ended = false;
  try {
    while (io.poll(&cqe, 1) == 0) io.wait(20'000);
  } catch (const tcp::InitiatorError&) {
    ended = true;
  }
  CHECK(ended);
  CHECK(status_of(admin.set_property(0x14, 0x00460061)) == 0);
  CHECK(status_of(admin.set_property(0x14, 0x00464061)) == 0);
  CHECK((admin.get_property(0x1c, false).dw0 >> 2 & 3) == 2);
}

TEST(tcp_connect_names_the_wrong_field) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  const TcpHost host(d);
  const auto refused = [&](const tcp::HostIdentity& identity, uint16_t queue_id, uint32_t entries, uint16_t controller_id) {
    tcp::InitiatorQueue queue(tcp_options(d));
    return queue.connect(identity, queue_id, entries, controller_id);
  };
  const auto parameter = [](const wire::Cqe& cqe, uint32_t dw0) { return status_of(cqe) == wire::kFabricsStatusInvalidParameters && cqe.dw0 == dw0; };
  constexpr uint32_t kInData = 1u << 16;
  tcp::HostIdentity other = tcp_identity();
  other.subsystem = "nqn.2026-11.dev.millrace:elsewhere";
  CHECK(parameter(refused(other, 0, 32, 0xffff), kInData | 256));
  other = tcp_identity();
  other.host = "somebody";
  CHECK(parameter(refused(other, 0, 32, 0xffff), kInData | 512));
  other.host = std::string("nqn.") + std::string(240, 'x');
  CHECK(parameter(refused(other, 0, 32, 0xffff), kInData | 512));
  other = tcp_identity();
  other.id = {};
  CHECK(parameter(refused(other, 0, 32, 0xffff), kInData | 0));
  CHECK(parameter(refused(tcp_identity(), 0, 32, 5), kInData | 16));
  CHECK(parameter(refused(tcp_identity(), 1, 32, 0xffff), kInData | 16));
  CHECK(parameter(refused(tcp_identity(), 2, 32, 999), kInData | 16));
  CHECK(parameter(refused(tcp_identity(), 0, 1, 0xffff), 44));
  CHECK(parameter(refused(tcp_identity(), 0, 4096, 0xffff), 44));
  CHECK(parameter(refused(tcp_identity(), 65, 32, host.controller_id), 42));
  CHECK(status_of(refused(tcp_identity(), 1, 32, host.controller_id)) == wire::kStatusCommandSequenceError);  // connected already
  other = tcp_identity();
  other.host = "nqn.2026-11.dev.millrace:stranger";
  CHECK(status_of(refused(other, 2, 32, host.controller_id)) == wire::kFabricsStatusInvalidHost);
  other = tcp_identity();
  other.id = {9};
  CHECK(status_of(refused(other, 2, 32, host.controller_id)) == wire::kFabricsStatusInvalidHost);
  CHECK(status_of(refused(tcp_identity(), 2, 32, host.controller_id)) == 0);
}

TEST(tcp_discovery_tells_where_the_subsystem_is) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  tcp::InitiatorQueue admin(tcp_options(d));
  tcp::HostIdentity identity = tcp_identity();
  identity.subsystem = tcp::kDiscoveryNqn;
  CHECK(status_of(admin.connect(identity, 0, 32, 0xffff)) == 0);
  CHECK(status_of(admin.set_property(0x14, 0x00460001)) == 0);
  wire::Sqe log{};
  log.opc = 0x02;
  log.cdw10 = 0x70 | (2048 / 4 - 1) << 16;
  std::vector<std::byte> page(2048);
  CHECK(status_of(admin.run(log, page)) == 0);
  wire::DiscoveryHeader header;
  wire::DiscoveryEntry entry;
  std::memcpy(&header, page.data(), sizeof header);
  std::memcpy(&entry, page.data() + sizeof header, sizeof entry);
  CHECK(header.records == 1 && entry.trtype == 3 && entry.subtype == 2);
  CHECK(std::string(reinterpret_cast<const char*>(entry.subnqn)) == kTcpSubsystem);
  CHECK(std::string(reinterpret_cast<const char*>(entry.traddr)) == "127.0.0.1");
  CHECK(std::string(reinterpret_cast<const char*>(entry.trsvcid)) == std::to_string(d.device->tcp()->port()));
  // No blocks behind it, and no I/O queues.
  wire::Sqe scan{};
  scan.opc = wire::kOpcodeAdminLoadProgram;
  CHECK(status_of(admin.run(scan, {})) == wire::kStatusInvalidOpcode);
  tcp::InitiatorQueue io(tcp_options(d));
  const wire::Cqe cqe = io.connect(identity, 1, 32, 1);
  CHECK(status_of(cqe) == wire::kFabricsStatusInvalidParameters && cqe.dw0 == 42);
}

TEST(tcp_disconnect_ends_an_io_queue_and_nothing_else) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  TcpHost host(d);
  wire::Sqe disconnect{};
  disconnect.opc = wire::kFabricsOpcode;
  disconnect.nsid = wire::kFabricsDisconnect;
  CHECK(status_of(host.admin.run(disconnect, {})) == wire::kFabricsStatusInvalidQueueType);
  wire::Sqe format = disconnect;
  format.cdw10 = 1;
  CHECK(status_of(host.io.run(format, {})) == wire::kFabricsStatusIncompatibleFormat);
  std::vector<std::byte> data(4096);
  for (int round = 0; round < 3; round++) {
    tcp::InitiatorQueue queue(tcp_options(d));
    // The queue of the round before is free again when its connection is gone.
    while (status_of(queue.connect(tcp_identity(), 2, 16, host.controller_id)) != 0) {
    }
    wire::Sqe before = read_blocks(2, 1);
    before.cid = 3;
    queue.submit(before, data);
    disconnect.cid = 4;
    queue.submit(disconnect, {});
    std::vector<uint16_t> answered;
    bool ended = false;
    try {
      while (queue.wait(20'000)) {
        wire::Cqe cqe;
        while (queue.poll(&cqe, 1) == 1) {
          CHECK(status_of(cqe) == 0);
          answered.push_back(cqe.cid);
        }
      }
    } catch (const tcp::InitiatorError&) {
      ended = true;
    }
    // What was begun before is answered; the connection ends behind the answer.
    CHECK(ended && (answered == std::vector<uint16_t>{3, 4}));
    CHECK(status_of(host.io.run(read_blocks(1, 1), data)) == 0);
  }
}

TEST(tcp_hosts_come_and_go_in_storms) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 3; t++)
    threads.emplace_back([&, t] {
      Random random(60 + t);
      for (int i = 0; i < 30; i++) {
        TcpHost host(d);
        std::vector<std::byte> data(64 * kBlockBytes);
        wire::Sqe sqe = read_blocks(random.below(100), 64);
        if (i % 3 == 0) host.io.submit(sqe, data);  // left without waiting
        else CHECK(status_of(host.io.run(sqe, data)) == 0);
        wire::Cqe cqe;
        if (i % 3 == 0) host.io.poll(&cqe, 1);
      }
    });
  for (auto& thread : threads) thread.join();
  while (d.device->associations() > 0 || d.device->tcp()->connections() > 0) std::this_thread::yield();
}
