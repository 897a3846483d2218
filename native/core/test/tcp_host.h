// A device with an NVMe/TCP door, and hosts that come in through it.
#pragma once
#include <memory>

#include "core/tcp/initiator.h"
#include "test_host.h"

namespace millrace::test {

inline constexpr const char* kTcpSubsystem = "nqn.2026-11.dev.millrace:test";
inline constexpr const char* kTcpHost = "nqn.2014-08.org.nvmexpress:uuid:2d7d1d7e-54a4-4f23-8a5e-5d1b8f0f3d11";

inline void open_tcp(DeviceSettings& s) {
  s.tcp.address = "127.0.0.1";
  s.nqn = kTcpSubsystem;
}

inline tcp::InitiatorOptions tcp_options(const TestDevice& d, bool header_digest = false, bool data_digest = false) {
  tcp::InitiatorOptions options;
  options.port = d.device->tcp()->port();
  options.header_digest = header_digest;
  options.data_digest = data_digest;
  return options;
}

inline tcp::HostIdentity tcp_identity() { return {kTcpSubsystem, kTcpHost, {7, 7, 7}}; }
inline uint32_t status_of(const wire::Cqe& cqe) { return cqe.status >> 1 & 0x7ffu; }

/** An enabled controller with one I/O queue. */
struct TcpHost {
  explicit TcpHost(const TestDevice& d, const tcp::InitiatorOptions& options, uint32_t entries = 128, bool flow_control = false) : admin(options), io(options) {
    const wire::Cqe connected = admin.connect(tcp_identity(), 0, 32, 0xffff, 0, flow_control);
    CHECK(status_of(connected) == 0);
    controller_id = static_cast<uint16_t>(connected.dw0);
    CHECK(status_of(admin.set_property(0x14, 0x00460061)) == 0);
    const wire::Cqe ready = admin.get_property(0x1c, false);
    CHECK(status_of(ready) == 0 && (ready.dw0 & 1u) == 1);
    CHECK(status_of(io.connect(tcp_identity(), 1, entries, controller_id, 0, flow_control)) == 0);
    (void)d;
  }
  explicit TcpHost(const TestDevice& d) : TcpHost(d, tcp_options(d)) {}
  tcp::InitiatorQueue admin;
  tcp::InitiatorQueue io;
  uint16_t controller_id = 0;
};

inline wire::Sqe read_blocks(uint64_t slba, uint32_t blocks) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeRead;
  sqe.nsid = wire::kNsidNvm;
  sqe.cdw10 = static_cast<uint32_t>(slba);
  sqe.cdw11 = static_cast<uint32_t>(slba >> 32);
  sqe.cdw12 = blocks - 1;
  return sqe;
}

}  // namespace millrace::test
