#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

#include "test_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

std::unique_ptr<ClientLink> local(TestDevice& d, const std::string& ticket = "") { return ClientLink::connect(d.socket_path(), ticket, 16, 64 << 10); }

wire::Sqe read_block(uint32_t slba) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeRead;
  sqe.nsid = wire::kNsidNvm;
  sqe.cdw10 = slba;
  return sqe;
}

UniqueFd raw_connect(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  CHECK(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

}  // namespace

TEST(attach_and_detach_in_storms) {
  TestDevice d(1, 16ull << 20, true);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 40; i++) {
        Host host(t == 0 ? d.device->attach(16, 64 << 10) : local(d));
        if (i % 3 == 0) host.send(1, read_block(static_cast<uint32_t>(i)), 0, 4096);  // left without waiting
        else CHECK(host.run(1, read_block(static_cast<uint32_t>(i)), 0, 4096).status == 0);
      }
    });
  for (auto& thread : threads) thread.join();
  while (d.device->associations() > 0) std::this_thread::yield();
}

TEST(attach_survives_hosts_that_leave_in_the_middle_of_scans) {
  TestDevice d(2, 16ull << 20, true);
  Host host(attach(d));
  Random random(30);
  host.put_dataset(*d.device, 1, 1, 64, 2000, random);
  for (int i = 0; i < 25; i++) {
    Host guest(local(d));
    guest.load(0, i % 4 == 0 ? 'H' : i % 4 == 1 ? 'm' : 's');
    const Answer opened = guest.open(1, 0, wire::kScanFlagDeviceRuns, 1, 64);
    CHECK(opened.status == 0);
    if (i % 2) guest.claim(opened.dw0, 10);
    wire::Sqe fetch{};
    fetch.opc = wire::kOpcodeScanResult;
    fetch.nsid = wire::kNsidCompute;
    fetch.cdw10 = opened.dw0;
    guest.send(1, fetch, 0, 8192);
  }
  while (d.device->associations() > 1 || d.device->scans().scans_open() > 0) std::this_thread::yield();
  CHECK(d.device->scans().claims_open() == 0);
  host.load(0, 's');
  CHECK(host.drain(host.open(1, 0, wire::kScanFlagDeviceRuns, 1, 64).dw0).values.size() == 64);
}

TEST(attach_ends_a_client_that_breaks_its_ring_and_no_other) {
  TestDevice d(0, 16ull << 20, true);
  Host good(local(d));
  auto bad = local(d);
  // The ring's tail word, as a hostile client would write it: far ahead of its entries.
  const auto geometry = *AssociationGeometry::checked(16, 64 << 10);
  shared_word(geometry.io(bad->memory()->data()).header->sq_tail).store(1'000'000);
  const wire::Sqe sqe = read_block(0);
  bad->ring(0).submit(&sqe, 1);  // rings the bell
  while (bad->drain_wake()) std::this_thread::yield();
  CHECK(good.run(1, read_block(0), 0, 4096).status == 0);
  const std::lock_guard lock(d.events_mutex);
  CHECK(d.events.size() == 1 && d.events[0].find("associationLost") == 0);
}

TEST(attach_refuses_nonsense_and_goes_on) {
  TestDevice d(0, 16ull << 20, true);
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 80; i++) silent.push_back(raw_connect(d.socket_path()));  // more than may wait
  Random random(31);
  for (int i = 0; i < 50; i++) {
    const UniqueFd fd = raw_connect(d.socket_path());
    wire::AttachRequest request{};
    for (auto* p = reinterpret_cast<uint64_t*>(&request); p < reinterpret_cast<uint64_t*>(&request + 1); p++) *p = random.next();
    if (i % 2) request.magic = wire::kAttachRequestMagic;
    if (i % 4 == 3) request.version = 1;
    CHECK(::send(fd.get(), &request, i % 5 == 0 ? 17 : sizeof request, MSG_NOSIGNAL) > 0);
    wire::AttachReply reply{};
    CHECK(::recv(fd.get(), &reply, sizeof reply, 0) == static_cast<ssize_t>(sizeof reply));
    CHECK(reply.status != wire::kAttachStatusOk);
  }
  Host host(local(d));
  CHECK(host.run(1, read_block(0), 0, 4096).status == 0);
}

TEST(attach_takes_a_chatting_client_for_gone) {
  TestDevice d(0, 16ull << 20, true);
  auto link = local(d);
  CHECK(::send(link->wake_fd(), "hello", 5, MSG_NOSIGNAL) == 5);
  while (link->drain_wake()) std::this_thread::yield();
  while (d.device->associations() > 0) std::this_thread::yield();
}

TEST(attach_has_an_end) {
  TestDevice d(0, 16ull << 20, true);
  std::vector<std::unique_ptr<ClientLink>> links;
  for (uint32_t i = 0; i < kAssociationsMax; i++) links.push_back(local(d));
  try {
    local(d);
    CHECK(false);
  } catch (const AttachError& error) {
    CHECK(error.code == "MR_ATTACH_REFUSED");
  }
  links.pop_back();
  while (d.device->associations() == kAssociationsMax) std::this_thread::yield();
  local(d);
}
