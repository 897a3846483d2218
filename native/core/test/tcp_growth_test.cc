// Broken, slow and half-open hosts by the hundred: from the 100th connection on the device holds what it held then.
#include <sys/socket.h>

#include "broken_host.h"
#include "in_use.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr uint32_t kWarmUp = 100;
constexpr uint64_t kSlackBytes = 32 << 10;

void put(int fd, const Bytes& bytes, size_t from, size_t to, size_t piece) {
  for (size_t at = from; at < to; at += piece)
    if (::send(fd, bytes.data() + at, std::min(piece, to - at), MSG_NOSIGNAL) <= 0) return;  // it was ended already
}

/** At least `bytes` of answers, or the end. */
void wait_for(int fd, size_t bytes) {
  std::byte scrap[4096];
  for (size_t got = 0; got < bytes;) {
    pollfd p{fd, POLLIN, 0};
    if (::poll(&p, 1, 10'000) <= 0) CHECK(!"an answer or the end comes");
    const ssize_t n = ::recv(fd, scrap, sizeof scrap, 0);
    if (n <= 0) return;
    got += static_cast<size_t>(n);
  }
}

/** The host is gone without a word: its end is a reset, not an end of what it sent. */
void vanish(UniqueFd fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void misbehave(TestDevice& d, uint32_t i, Random& random) {
  std::vector<size_t> starts;
  Bytes all = good_host(static_cast<uint8_t>(i % 4), starts);
  UniqueFd fd = dial(d.device->tcp()->port());
  const size_t connected = starts[2];
  switch (i % 5) {
    case 0:  // broken: a changed byte somewhere, then all that would have followed
      all[random.below(static_cast<uint32_t>(all.size()))] ^= static_cast<std::byte>(1 + random.below(255));
      put(fd.get(), all, 0, all.size(), all.size());
      ::shutdown(fd.get(), SHUT_WR);
      wait_for(fd.get(), SIZE_MAX);
      return;
    case 1:  // half-open: in the middle of a program's data it is not heard of any more
      put(fd.get(), all, 0, connected, connected);
      wait_for(fd.get(), 128 + 24);
      put(fd.get(), all, connected, starts[6] + 5000, 4096);
      return vanish(std::move(fd));
    case 2:  // slow: byte by byte, and gone before it was let in
      put(fd.get(), all, 0, 64 + random.below(200), 1);
      return vanish(std::move(fd));
    case 3:  // asks and never reads an answer
      put(fd.get(), all, 0, connected, connected);
      wait_for(fd.get(), 128 + 24);
      put(fd.get(), all, connected, all.size(), 1000);
      return vanish(std::move(fd));
    default:  // silent
      return vanish(std::move(fd));
  }
}

}  // namespace

TEST(broken_tcp_hosts_do_not_grow_fuzz) {
  TestDevice d(0, 16ull << 20, false, open_tcp);
  Random random(909);
  InUse before{};
  const uint32_t count = kWarmUp + rounds(300);
  for (uint32_t i = 1; i <= count; i++) {
    misbehave(d, i, random);
    if (i % 100 != 0) continue;
    check_quiet(d);
    {
      const std::lock_guard lock(d.events_mutex);  // what the test itself keeps
      std::vector<std::string>().swap(d.events);
    }
    CHECK(d.device->tcp_shared_bytes() == 0);
    if (i == kWarmUp) before = InUse::now();
    if (i > kWarmUp && !InUse::falls_to(before, kSlackBytes)) {
      const InUse now = InUse::now();
      std::fprintf(stderr, "{\"what\":\"broken NVMe/TCP hosts that left are still paid for\",\"seed\":%llu,\"connection\":%u,\"heapBytes\":[%llu,%llu],\"descriptors\":[%zu,%zu]}\n", static_cast<unsigned long long>(seed()), i,
                   static_cast<unsigned long long>(before.heap_bytes), static_cast<unsigned long long>(now.heap_bytes), before.descriptors, now.descriptors);
      std::abort();
    }
  }
  check_door(d);
}
