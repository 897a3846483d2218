// The thread in front of one slot: takes morsels, stages their chunks, queues Execute commands, reaps what the slot
// completed and passes its frames on. No JavaScript and no other thread takes part in a morsel.
#pragma once
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/model/core.h"
#include "core/queue/adaptive_spin.h"
#include "core/scan/feed.h"
#include "core/scan/quarantine.h"
#include "core/scan/slot_port.h"
#include "core/scan/slot_programs.h"

namespace millrace {

struct TakenMorsel {
  std::shared_ptr<Scan> scan;
  uint32_t morsel;
};

struct Taken {
  std::optional<TakenMorsel> morsel;
  /** Another tenant's turn: no more is taken; depart() follows. */
  bool leave = false;
  /** Another stream's turn: the slot's own is to be put by. */
  bool park = false;
};

/** Who asks for a morsel. */
struct Taker {
  uint32_t slot;
  uint32_t bank;
  /** The stream whose state the slot has; it takes no other's morsels then. */
  const Scan* streaming;
};

class Feeder {
 public:
  struct Hub {
    /** The next morsel of the next scan of the slot's tenant in turn; `last` is this feeder's place in the round. Any feeder thread. */
    std::function<Taken(const Taker& taker, uint32_t& last)> take;
    /** After Taken::leave, once nothing is in flight: the slot may go to another tenant. False: it stays. */
    std::function<bool(uint32_t slot, uint32_t bank)> depart;
    /** The memory of a bank the slot's process maps, and that the feeder is done with it. */
    std::function<Slm*(uint32_t bank)> memory;
    std::function<void(uint32_t bank)> left;
    /** A morsel went back to the pool: others may have work. */
    std::function<void()> kick_all;
    /** What a morsel was to read cannot be read, or is not what was written. */
    std::function<void(const Scan& scan, uint32_t status, uint64_t slba)> read_failed;
    /** A slot crashed under the module. True: the module is refused from now on. */
    std::function<bool(const Module& module)> crashed;
    /** Both valid as long as the feeder runs. */
    SlotSupervisor* supervisor;
    const Quarantine* quarantine;
    CoreModel core;
    CompletionGate* media;  // nullptr: no media is modelled
    uint32_t slots;
  };

  Feeder(uint32_t slot, Hub hub, const BackingFile& backing, Counters& counters);
  ~Feeder();
  void start();
  /** Any thread. */
  void seat(std::shared_ptr<SlotPort> port);
  void unseat(std::shared_ptr<SlotPort> port, SlotDownReason reason);
  /** There may be work (a scan opened, frames were fetched, a scan was closed). */
  void kick();
  /** Joins; morsels in flight are given back. */
  void stop();

  uint64_t executes() const { return executes_.load(std::memory_order_relaxed); }

 private:
  /** kRestore to kForget are of a stream (feeder_stream.cc). */
  enum class Kind : uint8_t { kExecute, kLoad, kRestore, kCheckpoint, kForget };
  struct InFlight {
    uint16_t cid = 0;
    Kind kind = Kind::kExecute;
    std::shared_ptr<Scan> scan;  // all but Load
    uint32_t morsel = 0;
    uint32_t area = 0;
    std::shared_ptr<const Module> module;
    StagedInputs inputs;
    uint32_t sequence = 0;
    uint64_t rows = 0;
    uint64_t out_bytes = 0;
    uint32_t fault = 0;  // decided before the slot answered
    std::string fault_text;
    bool stalled = false;
    bool cancelled = false;
    /** Of a stream that was here before: its frames were passed on then. */
    bool passed = false;
    uint64_t stalled_since_ms = 0;
    /** Running time so far, waits for the host to drain its output left out: the deadline bounds their sum. */
    uint64_t ran_ns = 0;
    uint32_t budget_ms = 0;
    uint64_t running_since_ns = 0;
    uint64_t submitted_ns = 0;
    uint64_t started_ns = 0;  // only where slower cores are modelled
    uint64_t started_cpu_ns = 0;
  };

  void run();
  void change_port();
  void depart_if_done();
  void sleep();
  bool inbox() const { return inbox_full_.load(); }

  // Towards the slot (feeder_submit.cc).
  bool refill();
  bool begin(TakenMorsel taken);
  void execute(TakenMorsel taken, StagedInputs inputs, uint32_t program);
  /** Modelled media (feeder_hold.cc): true: the chunks that were read wait until the media had brought them. */
  bool hold_staged(TakenMorsel& taken, StagedInputs& inputs, uint32_t program);
  bool staged_ready();
  void give_back_staged();
  bool ensure_loaded(const ScanSpec& spec, uint32_t& program);
  std::optional<uint32_t> free_area() const;
  uint16_t submit(uint8_t opc, uint64_t offset, uint64_t length, uint32_t cdw10);
  void announce_front();

  // A stream's state (feeder_stream.cc).
  /** The slot has the scan's state; false: it is being given it. */
  bool ensure_streaming(const std::shared_ptr<Scan>& scan, uint32_t program);
  /** Takes the state away when the stream is to go on elsewhere, or is over. */
  bool tend_stream();
  void submit_stream(Kind kind, wire::StreamHeader header);
  bool complete_stream(InFlight& front, const wire::Cqe& cqe, uint32_t status, bool more);
  void lose_stream(SlotDownReason reason, bool was_overdue);

  // From the slot (feeder_reap.cc).
  bool reap();
  bool complete(const wire::Cqe& cqe);
  // Slower cores (feeder_hold.cc).
  bool hold(const wire::Cqe& cqe);
  bool release_held(bool now);
  void mark_started(InFlight& entry);
  /** A modelled core does one thing at a time: what it was given after is not begun before it is released. */
  uint32_t depth() const { return hub_.core.on() ? 1 : kSlotDepth; }
  static Command command_of(Kind kind);
  static std::optional<uint32_t> known_fault(const wire::Cqe& cqe);
  bool take_output(InFlight& front, uint64_t bytes, bool more);
  void finish_front();
  bool go_on_if_stalled();
  void cancel_if_closed();
  void condemn(const char* why, uint32_t fault);
  void lose_all(SlotDownReason reason);
  void lose_front(InFlight& front, SlotDownReason reason, bool loading, bool was_overdue);
  bool overdue() const;
  std::string fault_words(const InFlight& front, const wire::Cqe& cqe) const;

  static uint64_t descriptor_offset(uint32_t area) { return kProgramBytesMax + area * (kSlotDescriptorBytes + kSlotOutBytes); }
  static uint64_t out_offset(uint32_t area) { return descriptor_offset(area) + kSlotDescriptorBytes; }

  const uint32_t slot_;
  Hub hub_;
  Counters& counters_;
  Feed feed_;

  UniqueFd epoll_;
  UniqueFd wake_;
  UniqueFd timer_;        // only where slower cores are modelled
  UniqueFd media_timer_;  // only where media is
  std::atomic<bool> idle_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> kicked_{false};
  std::atomic<bool> inbox_full_{false};
  std::mutex inbox_mutex_;
  struct Change {
    std::shared_ptr<SlotPort> port;
    std::optional<SlotDownReason> down;
  };
  std::deque<Change> changes_;

  // This thread only.
  std::shared_ptr<SlotPort> port_;
  bool condemned_ = false;
  bool leaving_ = false;
  bool departed_ = false;
  std::deque<InFlight> in_flight_;  // in the slot's order
  uint32_t executes_in_flight_ = 0;
  bool load_in_flight_ = false;
  /** The stream whose state the slot has, or is being given: then up to here. */
  std::shared_ptr<Scan> streaming_;
  StreamState giving_;
  uint64_t given_ = 0;
  bool stream_whole_ = false;
  bool state_in_flight_ = false;
  bool park_ = false;
  std::shared_ptr<CheckpointBytes> captured_;
  struct Held {
    wire::Cqe cqe;
    uint64_t until_ns;
  };
  std::optional<Held> held_;
  struct Staged {
    TakenMorsel taken;
    StagedInputs inputs;
    uint32_t program;
    uint64_t ready_ns;
  };
  std::optional<Staged> staged_;  // its columns are in columns_
  std::optional<TakenMorsel> pending_;  // taken, waits for the program area or for window space
  SlotPrograms programs_;
  uint16_t next_cid_ = 0;
  uint32_t round_ = 0;
  std::vector<wire::MorselColumn> columns_;
  std::vector<Frame> frames_;
  AdaptiveSpin spin_;
  std::atomic<uint64_t> executes_{0};
  std::thread thread_;
};

}  // namespace millrace
