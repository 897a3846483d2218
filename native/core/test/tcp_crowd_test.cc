// Many hosts at once: silent ones in the door, those that do not read, and all of them out of one memory.
#include "broken_host.h"

using namespace millrace;
using namespace millrace::test;

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
  // The last holder of a host lets its memory go.
  for (int i = 0; i < 20'000 && d.device->tcp_shared_bytes() > 0; i++) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(d.device->tcp_shared_bytes() == 0);
}
