#include "core/tcp/load.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/limits.h"
#include "core/model/clock.h"

namespace millrace::tcp {

namespace {
constexpr int kAnswerMs = 20'000;
constexpr uint16_t kAdminEntries = 32;
constexpr uint32_t kCc = 0x14;
constexpr uint32_t kEnable = 0x00460061;

void expect(const wire::Cqe& cqe, const char* what) {
  if ((cqe.status >> 1 & 0x7ffu) != 0) throw InitiatorError(std::string("NVMe/TCP: ") + what + " came to status " + std::to_string(cqe.status >> 1 & 0x7ffu));
}
}  // namespace

LoadResult run_load(const LoadSettings& s) {
  const HostIdentity identity{s.subsystem, "nqn.2014-08.org.nvmexpress:uuid:2d7d1d7e-54a4-4f23-8a5e-5d1b8f0f3d11", {1}};
  InitiatorQueue admin(s.target);
  const wire::Cqe connected = admin.connect(identity, 0, kAdminEntries, 0xffff);
  expect(connected, "Connect");
  expect(admin.set_property(kCc, kEnable), "enabling the controller");
  InitiatorQueue io(s.target);
  expect(io.connect(identity, 1, std::max(2u, s.depth), static_cast<uint16_t>(connected.dw0)), "Connect of the I/O queue");

  const size_t bytes = s.blocks_per_read * kBlockBytes;
  std::vector<std::byte> data(bytes * s.depth);
  LoadResult result;
  uint64_t random = s.seed;
  uint64_t sent = 0;
  const auto send = [&](uint16_t cid) {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    wire::Sqe sqe{};
    sqe.opc = wire::kOpcodeRead;
    sqe.cid = cid;
    sqe.nsid = s.nsid;
    const uint64_t slba = (random >> 33) % (s.blocks - s.blocks_per_read + 1);
    sqe.cdw10 = static_cast<uint32_t>(slba);
    sqe.cdw11 = static_cast<uint32_t>(slba >> 32);
    sqe.cdw12 = s.blocks_per_read - 1;
    io.submit(sqe, {data.data() + cid * bytes, bytes});
    sent++;
  };
  const uint64_t start_ns = monotonic_ns();
  for (uint16_t cid = 0; cid < s.depth && sent < s.commands; cid++) send(cid);
  wire::Cqe cqes[64];
  while (result.commands < s.commands) {
    const uint32_t n = io.poll(cqes, 64);
    if (n == 0 && !io.wait(kAnswerMs)) throw InitiatorError("NVMe/TCP: a command is not answered");
    for (uint32_t i = 0; i < n; i++) {
      expect(cqes[i], "Read");
      // Enough to see that the data is the media's: the first word of each read.
      uint64_t word = 0;
      std::memcpy(&word, data.data() + cqes[i].cid * bytes, sizeof word);
      result.hash += word * 0x9e3779b97f4a7c15ull;
      result.commands++;
      if (sent < s.commands) send(cqes[i].cid);
    }
  }
  result.elapsed_ns = monotonic_ns() - start_ns;
  return result;
}

}  // namespace millrace::tcp
