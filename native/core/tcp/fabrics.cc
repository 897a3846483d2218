#include "core/tcp/fabrics.h"

#include <algorithm>
#include <cstddef>

namespace millrace::tcp {

namespace {

/** An NVMe qualified name (base specification 2.0, 4.5): zero-terminated, at most 223 bytes; empty: it is none. */
std::string name_of(const uint8_t (&field)[256]) {
  constexpr size_t kNameBytesMax = 223;
  const auto* end = std::find(std::begin(field), std::end(field), uint8_t{0});
  const std::string name(reinterpret_cast<const char*>(field), static_cast<size_t>(end - field));
  const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
  return printable && name.size() <= kNameBytesMax && name.starts_with("nqn.") ? name : std::string();
}

}  // namespace

Answer read_connect(const wire::Sqe& sqe, std::span<const std::byte> data, std::string_view subsystem, ConnectRequest& out) {
  // NVMe base specification 2.0, 6.3 figure 380: offsets in the SQE.
  constexpr uint32_t kQidAt = 42, kSqsizeAt = 44, kCattrAt = 46;
  constexpr uint32_t kCattrNoFlowControl = 1u << 2, kCattrKnown = 0x0f;
  const auto record_format = static_cast<uint16_t>(sqe.cdw10);
  const auto queue_id = static_cast<uint16_t>(sqe.cdw10 >> 16);
  const auto size = static_cast<uint16_t>(sqe.cdw11);
  const uint32_t attributes = sqe.cdw11 >> 16 & 0xffu;
  if (record_format != 0) return {wire::kFabricsStatusIncompatibleFormat};
  if (data.size() != sizeof(wire::ConnectData)) return {wire::kTransportStatusSglLengthInvalid};
  wire::ConnectData d;
  std::memcpy(&d, data.data(), sizeof d);

  out.subsystem = name_of(d.subnqn);
  out.discovery = out.subsystem == kDiscoveryNqn;
  if (!out.discovery && out.subsystem != subsystem) return wrong_in_data(offsetof(wire::ConnectData, subnqn));
  out.host = name_of(d.hostnqn);
  if (out.host.empty()) return wrong_in_data(offsetof(wire::ConnectData, hostnqn));
  std::copy(std::begin(d.hostid), std::end(d.hostid), out.host_id.begin());
  if (std::all_of(out.host_id.begin(), out.host_id.end(), [](uint8_t b) { return b == 0; })) return wrong_in_data(offsetof(wire::ConnectData, hostid));
  if (queue_id > kTcpIoQueuesMax || (out.discovery && queue_id != 0)) return wrong_in_sqe(kQidAt);
  // Controllers here are made when a host asks (dynamic): it cannot know one before.
  if (queue_id == 0 ? d.cntlid != kAnyController : d.cntlid >= 0xfff0) return wrong_in_data(offsetof(wire::ConnectData, cntlid));
  if (size == 0 || size >= (queue_id == 0 ? kTcpAdminEntriesMax : kTcpIoEntriesMax)) return wrong_in_sqe(kSqsizeAt);
  if ((attributes & ~kCattrKnown) != 0) return wrong_in_sqe(kCattrAt);
  out.queue_id = queue_id;
  out.entries = size + 1u;
  out.flow_control = (attributes & kCattrNoFlowControl) == 0;
  out.keep_alive_ms = sqe.cdw12;
  out.controller_id = d.cntlid;
  return {};
}

}  // namespace millrace::tcp
