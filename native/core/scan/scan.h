// One scan: who has which morsel, which frames wait to be fetched, who waits for frames.
//
// Every morsel is in exactly one state. Slots and hosts race for morsels of the pool; a morsel that comes back (returned
// claim, lost slot) is taken before the pool is. End is sent once, when slots have nothing in flight and
// nothing to take, and no claim is open that could still come back.
#pragma once
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/device/association.h"
#include "core/device/datasets.h"
#include "core/device/programs.h"
#include "core/scan/frames.h"
#include "core/scan/morsel_pool.h"
#include "core/scan/stream.h"
#include "core/scan/tenant.h"

namespace millrace {

class Execution;

struct ScanSpec {
  std::shared_ptr<const Dataset> dataset;  // the lease; null with an execution
  /** One morsel over memory of the host in place of a dataset. */
  std::shared_ptr<Execution> execution;
  std::shared_ptr<const Module> module;    // null: the host runs everything
  std::vector<uint32_t> columns;
  std::vector<uint32_t> row_groups;
  /** On whose behalf; its caps were those when the scan was opened. */
  std::shared_ptr<const Tenant> tenant;
  uint32_t actor = 0;
  uint64_t out_bytes_max = 0;
  uint32_t deadline_ms = 0;
  /** For compiling the module in a slot. */
  uint32_t compile_ms = 0;
  uint64_t limit_rows = 0;
  bool feed_window_only = false;
  bool feed_resident = false;
  /** The kernel keeps its state from morsel to morsel (stream.h). held: until the host restores one. */
  bool stream = false;
  bool held = false;
};

class Scan {
 public:
  Scan(uint32_t id, std::shared_ptr<Association> owner, ScanSpec spec, Counters& counters);

  const uint32_t id;
  const ScanSpec spec;
  const std::shared_ptr<Association> owner;
  /** What its tenant's slots see of the media was settled with it in mind. The engine's, under its lock. */
  bool viewed = false;

  // For slots (feeder threads).
  /** A morsel to run; nothing if there is none or too many frames wait to be fetched. streaming: the stream the slot has, if it has one. */
  std::optional<uint32_t> take_for_device(uint32_t slot, const Scan* streaming);
  /** take_for_device() would give one now, as things stand. */
  bool wants_device() const;
  /** Not begun after all: somebody else runs it. */
  void give_back_from_device(uint32_t morsel);
  /** The slot died under it. True: it runs again; false: it is faulted. */
  bool lose_on_device(uint32_t morsel, uint32_t place, std::string_view text);
  /** Hands frames of a running morsel to the host, or keeps them until it asks. */
  void pass_on(std::span<const Frame> frames);
  /** True: slots may go on that could not before. */
  bool finish_on_device(uint32_t morsel, uint64_t rows);
  /** Ends the morsel, and the scan's further morsels, with a Fault frame. code: GuestFault or Status; text: fault_text, or ours. */
  void fault(uint32_t morsel, uint32_t code, uint32_t place, std::string_view text = {});
  /** More output of a running morsel may come. */
  bool has_room() const {
    const uint64_t mine = staged_bytes_.load();
    return closed_.load() || mine == 0 || (mine < kStagedBytesMax && Counters::get(counters_.staged_bytes) < kStagedTotalBytesMax);
  }
  bool closed() const { return closed_.load(); }

  // Streams (scan_stream.cc), for the slot that has its state, or is to have it.
  /** No slot has it, and one could go on with it. */
  bool stream_waits() const;
  bool stream_over() const;
  /** Its host wants the state, and it is where it was put out to. */
  bool stream_to_be_parked() const;
  /** The morsel was put out before; it is run for the state alone. */
  bool stream_passed(uint32_t morsel) const;
  StreamState stream_state() const;
  void stream_restored();
  /** The slot does not take the state. True: the host that sent it was told; false: nobody was. */
  bool stream_refused(uint32_t status);
  void stream_captured(std::shared_ptr<const CheckpointBytes> checkpoint);
  /** The slot is gone, and its state with it. */
  void stream_lost();
  /** fault() with no morsel under way. */
  void fail_stream(uint32_t code, uint32_t place, std::string_view text);

  // For the host (its I/O thread).
  /** Success: the command is answered, or waits for the state. */
  uint32_t checkpoint(const Stream::Command& command);
  /** completed: false: a slot answers the command. */
  uint32_t restore(const Stream::Command& command, uint64_t total, uint32_t batches, bool& completed);
  /** Completes the ScanResult command now or when frames are there. True: slots may go on that could not before. */
  bool result(uint32_t queue_id, uint16_t cid, std::span<std::byte> data);
  /** True: a ScanResult waited under this name and is forgotten; the caller completes it. */
  bool abort(uint32_t queue_id, uint16_t cid);
  /** Completes all that wait on a queue that is deleted. */
  void abort_queue(uint32_t queue_id);
  /** Up to out.size() morsels, ascending; returns how many. */
  uint32_t claim(std::span<uint32_t> out);
  /** wire::Status; nothing is changed unless all morsels are claimed. */
  uint32_t give_back(std::span<const uint32_t> morsels);
  struct Finished {
    uint32_t morsel;
    uint32_t rows;
  };
  uint32_t done(std::span<const Finished> finished);
  /** Waiting ScanResults are completed with AbortRequested; frames are dropped. */
  void close();
  uint32_t claims_open() const;
  /** GuestFault or Status of the first morsel that failed, 0: none did. */
  uint32_t first_fault() const { return first_fault_.load(); }
  uint32_t device_ran() const;
  /** Slots work on it. */
  bool on_device() const;
  const uint64_t opened_ns;

 private:
  enum class State : uint8_t { kPool, kDevice, kHost, kDone };
  struct Waiting {
    uint32_t queue_id;
    uint16_t cid;
    std::span<std::byte> data;
  };

  std::optional<uint32_t> take_stream(uint32_t slot);
  bool stream_ready_for(uint32_t slot) const;
  void answer_checkpoint(const Stream::Command& command);
  void end_stream_commands(uint32_t status, uint32_t dw0 = 0);
  void finish(uint32_t morsel, uint64_t rows);
  void stop_handing_out();
  bool nothing_left() const;
  void end_if_over();
  void stage(const Frame& frame);
  std::optional<uint32_t> take_back(std::deque<uint32_t>& from, State state);
  Frame end_frame() const;

  Counters& counters_;
  mutable std::mutex mutex_;
  MorselPool pool_;
  std::vector<State> states_;
  std::vector<uint8_t> losses_;
  std::deque<uint32_t> redo_;      // lost with a slot
  std::deque<uint32_t> returned_;  // claims that came back
  uint32_t in_flight_ = 0;
  uint32_t device_ran_ = 0;
  uint32_t claimed_ = 0;
  bool stopped_ = false;
  bool end_sent_ = false;
  std::atomic<bool> closed_{false};
  std::atomic<uint32_t> first_fault_{0};
  std::vector<uint64_t> rows_;  // per finished morsel, kept only with a limit
  uint32_t prefix_ = 0;
  uint64_t prefix_rows_ = 0;
  Stream stream_;
  std::deque<Waiting> waiting_;  // only while nothing is staged
  std::deque<std::vector<std::byte>> staged_;
  std::atomic<uint64_t> staged_bytes_{0};
};

}  // namespace millrace
