// All open scans, and the feeders that run their morsels in slots. Scans take turns; a slot serves any of them.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/device/commands.h"
#include "core/scan/feeder.h"

namespace millrace {

class ScanEngine final : public SlotEngine {
 public:
  using EventSink = std::function<void(const char* kind, std::string detail)>;

  ScanEngine(const BackingFile& backing, const DatasetTable& datasets, Slm& slm, Counters& counters, EventSink events, uint32_t deadline_ms)
      : backing_(backing), datasets_(datasets), slm_(slm), counters_(counters), events_(std::move(events)), deadline_ms_(deadline_ms) {}
  ~ScanEngine() override { stop(); }

  /** Spawns slots and their feeders. Throws what the supervisor throws. */
  void start(const SlotSettings& settings, const SlotSupervisorFactory& factory, CoreModel core = {});
  /** Slots are gone and no feeder runs when it returns. */
  void stop();

  // Commands, on the association's I/O thread.
  CommandResult open(const std::shared_ptr<Association>& association, const wire::Sqe& sqe);
  /** Completes the command itself, now or later. */
  void result(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  CommandResult claim(const Association& association, const wire::Sqe& sqe);
  CommandResult give_back(const Association& association, const wire::Sqe& sqe);
  CommandResult done(const Association& association, const wire::Sqe& sqe);
  CommandResult close(Association& association, const wire::Sqe& sqe);
  /** True: a fetch of results waited under this name and is forgotten; the caller completes it. */
  bool abort(const Association& association, uint32_t queue_id, uint16_t cid);
  /** The queue is deleted: what waits on it is aborted. */
  void abort_queue(const Association& association, uint32_t queue_id);
  /** The association is gone: its scans with it. */
  void detach(const Association& association);

  // SlotEngine, any thread.
  void slot_up(std::shared_ptr<SlotPort> port) override;
  void slot_down(const std::shared_ptr<SlotPort>& port, SlotDownReason reason) override;
  void event(const char* kind, std::string detail) override { events_(kind, std::move(detail)); }

  size_t scans_open() const;
  uint64_t claims_open() const;
  struct SlotReport {
    SlotStatus status;
    uint64_t executes;
  };
  std::vector<SlotReport> slots() const;
  /** Digests of the kernels that are not run any more. */
  std::vector<std::string> quarantined() const { return quarantine_.refused(); }

 private:
  std::vector<std::shared_ptr<Scan>> scans_of(const Association& association) const;
  std::shared_ptr<Scan> find(const Association& association, uint32_t id) const;
  std::optional<TakenMorsel> take(uint32_t& last);
  void kick_all();
  bool crashed(const Module& module);

  const BackingFile& backing_;
  const DatasetTable& datasets_;
  Slm& slm_;
  Counters& counters_;
  EventSink events_;
  uint32_t deadline_ms_;
  Quarantine quarantine_;
  mutable std::mutex mutex_;  // never taken while a scan's lock is held
  std::map<uint32_t, std::shared_ptr<Scan>> scans_;
  uint32_t next_id_ = 1;
  std::unique_ptr<SlotSupervisor> supervisor_;
  std::vector<std::unique_ptr<Feeder>> feeders_;  // fixed between start and stop
};

}  // namespace millrace
