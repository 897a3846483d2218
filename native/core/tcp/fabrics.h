// The Connect command: what a host asks for, checked field by field. Pure.
#pragma once
#include <array>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "core/limits.h"
#include "wire/wire.gen.h"

namespace millrace::tcp {

inline constexpr const char* kDiscoveryNqn = "nqn.2014-08.org.nvmexpress.discovery";
inline constexpr uint16_t kAnyController = 0xffff;

struct ConnectRequest {
  uint16_t queue_id = 0;
  uint32_t entries = 0;
  bool flow_control = true;
  uint32_t keep_alive_ms = 0;
  std::array<uint8_t, 16> host_id{};
  uint16_t controller_id = 0;
  std::string subsystem;
  std::string host;
  bool discovery = false;
};

/** How a command of this layer ends. */
struct Answer {
  uint32_t status = 0;
  uint32_t dw0 = 0;
  uint32_t dw1 = 0;
};

/** NVMe base specification 2.0, 6.3 figure 381: which field is wrong. */
inline Answer wrong_in_sqe(uint32_t offset) { return {wire::kFabricsStatusInvalidParameters, offset}; }
inline Answer wrong_in_data(uint32_t offset) { return {wire::kFabricsStatusInvalidParameters, offset | 1u << 16}; }

/** Reads Connect; status 0 and `out`, or what is wrong with it. `subsystem`: the one served here. */
Answer read_connect(const wire::Sqe& sqe, std::span<const std::byte> data, std::string_view subsystem, ConnectRequest& out);

}  // namespace millrace::tcp
