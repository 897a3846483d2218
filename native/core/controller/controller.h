// One controller: what a host sees of the device, per association. Used by the association's I/O thread only, except
// events and errors, which come from any.
#pragma once
#include <cstdint>
#include <functional>

#include "core/controller/async_events.h"
#include "core/controller/error_log.h"
#include "core/controller/features.h"
#include "core/controller/keep_alive.h"

namespace millrace {

class Controller {
 public:
  Controller(const Subsystem& subsystem, uint16_t id) : subsystem(subsystem), id(id), features(subsystem) {}

  const Subsystem& subsystem;
  /** CNTLID. */
  const uint16_t id;
  Features features;
  AsyncEvents events;
  ErrorLog errors;
  KeepAlive keep_alive;

  /** What only a fabric has, for Identify (bytes 1792 on); zero over shared memory. */
  struct Fabric {
    uint32_t ioccsz = 0;
    uint32_t iorcsz = 0;
    uint16_t icdoff = 0;
    uint8_t msdbd = 0;
    uint16_t maxcmd = 0;
    uint32_t sgls = 0;
    uint16_t ofcs = 0;
  } fabric;

  // Properties, NVMe base specification 2.0, 3.1.3. Rings in shared memory begin enabled; a fabric host sets CC.
  static constexpr uint32_t kCap = 0x00;
  static constexpr uint32_t kVs = 0x08;
  static constexpr uint32_t kCc = 0x14;
  static constexpr uint32_t kCsts = 0x1c;
  static constexpr uint32_t kCrto = 0x68;
  /** Bytes of a property (4 or 8); 0: there is none at this offset. */
  static uint32_t property_bytes(uint32_t offset) { return offset == kCap ? 8 : offset == kVs || offset == kCc || offset == kCsts || offset == kCrto ? 4 : 0; }
  uint64_t property(uint32_t offset) const;

  enum class Change : uint8_t {
    kNone,
    kRefused,   // a value CC cannot have
    kEnabled,   // CSTS.RDY is set already
    kReset,     // EN fell: I/O queues and waiting commands of the host end; call reset()
    kShutdown,  // flush what is volatile, then shutdown_done()
  };
  Change set_configuration(uint32_t cc);
  void shutdown_done() { csts_ = (csts_ & ~kShutdownMask) | kShutdownComplete; }
  void fail() { csts_ |= 2u; }
  void reset();
  /** Begins as a fabric controller does: disabled. */
  void begin_disabled() {
    cc_ = 0;
    csts_ = 0;
  }

  bool ready() const { return (csts_ & 1u) != 0; }
  /** CC.CSS: every I/O command set, or the NVM command set alone. */
  bool command_set_enabled(uint32_t csi) const { return csi == wire::kCsiNvm || (cc_ >> 4 & 7u) == 6; }
  /** CC.AMS: weighted round robin with urgent class. */
  bool weighted() const { return (cc_ >> 11 & 7u) == 1; }

 private:
  static constexpr uint32_t kShutdownMask = 3u << 2;
  static constexpr uint32_t kShutdownComplete = 2u << 2;
  static constexpr uint32_t kRingConfiguration = 0x00460861;  // EN, CSS all, AMS weighted, IOSQES 6, IOCQES 4
  uint32_t cc_ = kRingConfiguration;
  uint32_t csts_ = 1;
};

}  // namespace millrace
