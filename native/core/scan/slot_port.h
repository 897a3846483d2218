// The seam between the scan engine and the slot supervisor (native/core/slots).
//
// A slot is a process behind one ring in a memfd of its own: QueueHeader (queueId 1), SQ, CQ (kSlotRingEntries each), data
// region of kSlotDataBytes. The supervisor makes the memory, spawns the process, waits until it is ready, then hands the
// port over by slot_up; from then on only the slot's feeder thread touches `ring`. Commands in that ring, all nsid Compute:
//   AdminLoadProgram 0x85: cdw10 = slot-local program number (0..kSlotPrograms-1, replaces what was there), module bytes at
//     prp1 (offset in the data region), prp2 (length). status Success, or GuestFault with dw0 = ModuleRejected and the like.
//   Execute 0x01: MorselHeader + MorselColumn[] at prp1/prp2, as native/wire/scan.def says.
// Commands complete in order. cid is 0..kSlotRingEntries-1. A command that was asked to stop (cancelWord) completes with
// status GuestFault, dw0 Timeout.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/limits.h"
#include "core/model/histogram.h"
#include "core/queue/submitter.h"
#include "core/scan/media_view.h"
#include "core/scan/tenant.h"

namespace millrace {

struct SlotPort {
  /** 1..slots: `place` in frames. A replacement process comes with a new SlotPort under the same id. */
  uint32_t id = 0;
  int pid = 0;
  /** The bank of device memory the process maps: it serves that bank's tenant and nobody else as long as it lives. */
  uint32_t bank = 0;
  /** What of the media it maps behind the SLM; nullptr: nothing. */
  std::shared_ptr<const MediaView> view;
  /** Made with moreCompletions = true. */
  Submitter ring;
  /** Data region, shared with the slot and hostile: kSlotDataBytes. */
  std::byte* data = nullptr;
  /** eventfd the slot writes when submitterSleeping is set. Valid as long as this object. */
  int completion_fd = -1;
  /** How the process ended ("signal 11"); set before slot_down. */
  std::string end;
  /** Cleared by slot_down. */
  std::atomic<bool> alive{true};
  /** LIFETIME: whatever must outlive the port (mapping, descriptors); the last holder of the port lets it go. */
  std::shared_ptr<void> keep;
};

enum class SlotDownReason : uint8_t {
  kCrashed,   // the process ended by its own doing: its running morsel runs once more elsewhere, and its kernel has a strike
  kOutOfMemory,  // the process ended because its memory ran out: GuestFault MemoryLimit, and its kernel has a strike
  kDied,      // killed by somebody: its running morsel runs once more elsewhere
  kDeadline,  // killed because the running command passed its deadline and did not stop: GuestFault Timeout
  kStopped,   // orderly: the end of the device, or another tenant's turn
};

/** What the supervisor tells the engine; any thread. */
class SlotEngine {
 public:
  virtual ~SlotEngine() = default;
  /** A slot is ready. The engine owns port->ring until slot_down. */
  virtual void slot_up(std::shared_ptr<SlotPort> port) = 0;
  /** The process is gone. Does not wait; the engine drops its reference soon after. */
  virtual void slot_down(const std::shared_ptr<SlotPort>& port, SlotDownReason reason) = 0;
  /** After retire(): no process maps the bank any more. */
  virtual void bank_unmapped(uint32_t bank) { (void)bank; }
  /** A line for the log: "slot 1 (pid 7) replaced: signal 11". kind: "slotFault" | "slotReplaced" | "log". */
  virtual void event(const char* kind, std::string detail) = 0;
};

/** What a slot process is born with: whose memory it maps, and that tenant's caps. */
struct SlotSeat {
  uint32_t bank = 0;
  /** Opened read-only; the supervisor passes on a duplicate. LIFETIME: valid until bank_unmapped. */
  int slm_fd = -1;
  uint64_t slm_bytes = 0;
  /** Of these, from the start, what every scan sees; the rest is seen by the one Execute whose inputs lie there. */
  uint64_t scan_bytes = 0;
  TenantCaps caps;
  /** Chunks its kernels read where they lie on the media; nullptr: none. */
  std::shared_ptr<const MediaView> view;
  /** Bytes of its window kept for a view, whichever it is: the state of a kernel moves between slots of a bank. */
  uint64_t view_room = 0;
  uint64_t view_bytes() const { return view ? view->bytes() : 0; }
  /** A process of one seat can serve the other. */
  bool same(const SlotSeat& o) const { return bank == o.bank && view == o.view; }
};

/** Room for a view in a window, as daemon/slots/slot-programs.ts lays it out: half of the heap, SLM, view. */
inline uint64_t view_room_for(uint64_t heap_bytes, uint64_t slm_bytes) {
  constexpr uint64_t kWasmPageBytes = 65536;
  const uint64_t taken = (heap_bytes / 2 / kWasmPageBytes + 1) * kWasmPageBytes + slm_bytes + kWasmPageBytes;
  return taken < kViewEndMax ? (kViewEndMax - taken) / kPageBytes * kPageBytes : 0;
}

struct SlotStatus {
  uint32_t id;
  int pid;
  std::string state;  // "starting" | "ready" | "down"
  /** JailPart bits (native/jail/slot_contract.h) of a ready slot. */
  uint32_t jail;
};

/** Commands that passed their deadline: how long after it they ended. */
struct SlotStops {
  Histogram asked;   // the slot answered, and lives on
  Histogram killed;  // its process was ended
  uint64_t last_due_ns = 0;  // CLOCK_MONOTONIC
};

/** What the engine tells the supervisor; the slot's feeder thread, must not block. */
class SlotSupervisor {
 public:
  virtual ~SlotSupervisor() = default;
  /** Spawns the slots; slot_up follows for each. Throws std::runtime_error if the slot binary cannot be started at all. */
  virtual void start() = 0;
  /** The command runs, and may for so long from now: its whole deadline, or after a drained output area what is left of it. */
  virtual void command_started(uint32_t slot, uint16_t cid, uint32_t deadline_ms) = 0;
  /** It ended, or waits for its output area to be drained: no deadline runs. */
  virtual void command_finished(uint32_t slot, uint16_t cid) = 0;
  /** The engine caught the slot lying (bad frames, completions never asked for): kill and replace it. */
  virtual void condemn(uint32_t slot, const char* why) = 0;
  /** The place is to be taken by a process of this seat; the one that has it ends (slot_down kStopped). It must have nothing in flight. */
  virtual void reseat(uint32_t slot, const SlotSeat& seat) = 0;
  /** Ends every process that maps the bank, then tells bank_unmapped. Places it had go to the first seat. */
  virtual void retire(uint32_t bank) = 0;
  virtual std::vector<SlotStatus> status() const = 0;
  virtual SlotStops stops() const { return {}; }
  /** By what slots are held to a share of a core on this machine. */
  virtual std::string cpu_share() const { return {}; }
  /** Ends all slots and threads; returns when they are gone. No slot_up or slot_down comes afterwards. */
  virtual void stop() = 0;
};

struct SlotSettings {
  uint32_t slots;
  std::string node;      // the pinned Node
  std::string script;    // daemon/slots/slot-main.js
  std::string launcher;  // build/Release/slot_launcher
  /** What all slots begin with. */
  SlotSeat seat;
};

using SlotSupervisorFactory = std::function<std::unique_ptr<SlotSupervisor>(const SlotSettings&, SlotEngine&)>;

/** Implemented by native/core/slots. */
std::unique_ptr<SlotSupervisor> make_slot_supervisor(const SlotSettings& settings, SlotEngine& engine);

}  // namespace millrace
