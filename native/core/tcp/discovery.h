// The discovery controller: a host that connects to the well-known name learns here which subsystem is served and where.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/tcp/fabrics.h"

namespace millrace::tcp {

/** Where hosts reach the subsystem. */
struct Advertised {
  std::string subsystem;
  std::string address;
  uint16_t port = 0;
  bool ipv6 = false;
};

class DiscoveryController {
 public:
  DiscoveryController(Advertised advertised, uint16_t id) : advertised_(std::move(advertised)), id_(id) {}

  struct Result {
    uint32_t status = 0;
    uint32_t dw0 = 0;
    /** To the host; begins at the start of its data. */
    std::vector<std::byte> data;
    /** It waits for an event; none ever comes. */
    bool waits = false;
    static Result of(uint32_t status, uint32_t dw0 = 0) { return {status, dw0, {}, false}; }
    static Result with(std::vector<std::byte> data) { return {0, 0, std::move(data), false}; }
  };
  /** An admin command. */
  Result execute(const wire::Sqe& sqe);

 private:
  std::vector<std::byte> identify() const;
  std::vector<std::byte> log() const;
  Advertised advertised_;
  uint16_t id_;
  uint32_t keep_alive_ms_ = 0;
  uint32_t events_ = 0;
  uint32_t waiting_ = 0;
};

}  // namespace millrace::tcp
