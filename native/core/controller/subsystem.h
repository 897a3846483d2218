// What all controllers of the device show alike: its names, its namespaces, its health.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/controller/health.h"
#include "core/model/settings.h"
#include "core/slm/host_memory.h"

namespace millrace {

struct NamespaceFacts {
  uint32_t nsid;
  uint32_t csi;
  /** Bytes a host sees; 0: none of its own (compute). */
  uint64_t bytes = 0;
  /** Hosts write it without a ticket. */
  bool writable = false;
  /** Bytes in use; empty: all of them. */
  std::function<uint64_t()> used_bytes;
};

struct Subsystem {
  std::string nqn;
  std::string serial;
  /** Of this device for ever; NGUIDs and UUIDs of namespaces are made of it. */
  std::array<uint8_t, 16> identity{};
  std::vector<NamespaceFacts> namespaces;  // ascending NSIDs; fixed after the device's start
  Health* health = nullptr;
  Counters* counters = nullptr;
  HostMemoryBudget* host_memory = nullptr;
  /** Rated power of the one power state there is, where a profile says it. */
  std::optional<PowerSettings> power;
  /** Log page 25h as it stands now, into a zeroed page; empty: the page is not supported. */
  std::function<void(std::span<std::byte>)> power_log;

  const NamespaceFacts* find(uint32_t nsid) const {
    for (const NamespaceFacts& n : namespaces)
      if (n.nsid == nsid) return &n;
    return nullptr;
  }
  /** 0: there is no such namespace. */
  uint64_t bytes_of(uint32_t nsid) const {
    const NamespaceFacts* found = find(nsid);
    return found ? found->bytes : 0;
  }
  uint32_t nsid_max() const { return namespaces.empty() ? 0 : namespaces.back().nsid; }
  std::array<uint8_t, 16> nguid(uint32_t nsid) const {
    auto id = identity;
    id[15] = static_cast<uint8_t>(id[15] ^ nsid);
    return id;
  }
};

}  // namespace millrace
