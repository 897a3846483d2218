// All open scans, and the feeders that run their morsels in slots. Scans take turns; a slot serves any of them.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/device/commands.h"
#include "core/scan/audit.h"
#include "core/scan/execution.h"
#include "core/scan/feeder.h"
#include "core/scan/seating.h"

namespace millrace {

class ScanEngine final : public SlotEngine {
 public:
  using EventSink = std::function<void(const char* kind, std::string detail)>;

  struct Memory {
    /** The device's own tenant's. LIFETIME: outlives the engine. */
    Slm& slm;
    uint32_t slots;
    /** Of every other tenant that has work, so many at a time. */
    uint64_t tenant_bytes;
    uint32_t tenants_max;
  };
  /** media_is_memory: chunks are used where they lie. media_failed: told on a feeder's thread. Throws std::system_error. */
  ScanEngine(const BackingFile& backing, const DatasetTable& datasets, Memory memory, Counters& counters, EventSink events, TenantCaps own, bool media_is_memory, std::function<void()> media_failed)
      : backing_(backing), media_(media_is_memory ? backing.reopen_read_only() : UniqueFd()), datasets_(datasets), slm_(memory.slm), counters_(counters), events_(std::move(events)), tell_media_failed_(std::move(media_failed)), tenants_(own),
        seating_(TenantMemory(memory.slm, own, memory.slots, memory.tenant_bytes, memory.tenants_max), memory.slots) {}
  ~ScanEngine() override { stop(); }

  /** Bytes of a slot's window that are kept for views; 0: media is not memory. */
  uint64_t view_room(const TenantCaps& caps, const Slm& slm) const { return media_ ? view_room_for(caps.heap_bytes, slm.mapped_bytes()) : 0; }

  /** Spawns slots and their feeders. Throws what the supervisor throws. */
  void start(const SlotSettings& settings, const SlotSupervisorFactory& factory, CoreModel core = {}, CompletionGate* gate = nullptr);
  /** Slots are gone and no feeder runs when it returns. */
  void stop();

  // Commands, on the association's I/O thread.
  CommandResult open(const std::shared_ptr<Association>& association, const wire::Sqe& sqe);
  /** Completes the command itself, now or later. */
  void result(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  /** Execute Program. Completes the command itself, now or later. */
  void execute(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  /** Complete the command themselves, now or later. */
  void checkpoint(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  void restore(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  CommandResult claim(const Association& association, const wire::Sqe& sqe);
  CommandResult give_back(const Association& association, const wire::Sqe& sqe);
  CommandResult done(const Association& association, const wire::Sqe& sqe);
  CommandResult close(Association& association, const wire::Sqe& sqe);
  /** True: a fetch of results waited, or an execution ran, under this name and is forgotten; the caller completes it. */
  bool abort(const Association& association, uint32_t queue_id, uint16_t cid);
  /** The queue is deleted: what waits on it is aborted. */
  void abort_queue(const Association& association, uint32_t queue_id);
  /** The association is gone: its scans with it. */
  void detach(const Association& association);

  // SlotEngine, any thread.
  void slot_up(std::shared_ptr<SlotPort> port) override;
  void slot_down(const std::shared_ptr<SlotPort>& port, SlotDownReason reason) override;
  void bank_unmapped(uint32_t bank) override;
  void event(const char* kind, std::string detail) override { events_(kind, std::move(detail)); }

  TenantTable& tenants() { return tenants_; }
  const TenantTable& tenants() const { return tenants_; }
  /** No new scan asks for the dataset: slots that have it in their view get another, so that its last lease can end. */
  void forget_dataset(uint32_t handle);
  /** Nobody can ask for the dataset any more: no bank keeps anything of it. */
  void drop_dataset(uint32_t handle);

  AuditTrail& audit() { return audit_; }
  size_t scans_open() const;
  uint64_t claims_open() const;
  struct SlotReport {
    SlotStatus status;
    uint64_t executes;
    std::string tenant;
  };
  std::vector<SlotReport> slots() const;
  SlotStops stops() const { return supervisor_ ? supervisor_->stops() : SlotStops{}; }
  std::string cpu_share() const { return supervisor_ ? supervisor_->cpu_share() : ""; }
  struct BankReport {
    std::string tenant;
    uint64_t bytes;
    ResidentCache::Stats resident;
    uint64_t window_loads;
  };
  /** Banks that are some tenant's now; the device's own first. */
  std::vector<BankReport> banks() const;
  /** Digests of the kernels that are not run any more. */
  std::vector<std::string> quarantined() const { return quarantine_.refused(); }

 private:
  std::vector<std::shared_ptr<Scan>> scans_of(const Association& association) const;
  std::shared_ptr<Scan> find(const Association& association, uint32_t id) const;
  /** bank: what the slot's process maps; only its tenant's morsels may go there. */
  Taken take(const Taker& taker, uint32_t& last);
  Taken take_of(uint32_t tenant, const Taker& taker, uint32_t& last);
  /** The tenant the slot is to go to instead of taking more. */
  std::optional<uint32_t> next_tenant(uint32_t slot, bool& own_work);
  using Views = std::vector<std::shared_ptr<const MediaView>>;
  /** Settles what the bank's slots see of the media, with the scans of its tenant in mind; under mutex_. What goes may be a last lease: `gone` outlives the lock. */
  void settle_view(TenantMemory::Bank& bank, Views& gone);
  void settle_view(TenantMemory::Bank& bank, const Execution& execution, Views& gone) const;
  /** nullptr: what is wanted of the dataset (all of it, where no columns are named) does not fit a kernel's window. */
  std::shared_ptr<const MediaView> view_with(const TenantMemory::Bank& bank, const MediaView::Part& wanted) const;
  bool depart(uint32_t slot, uint32_t bank);
  Slm* memory(uint32_t bank);
  void left(uint32_t bank);
  /** Banks to tenants that wait for one; under mutex_. */
  void assign_banks();
  void scrub_if_free(uint32_t bank);
  void kick_all();
  /** Whether the ranges of the media are the host's to use, and what is to be held so that they stay what they are. */
  uint32_t take_media(const Association& association, const MemoryRanges& ranges, Execution::Holds& holds, Execution::Leases& leases) const;
  CommandResult put_out(Association& owner, const Execution& execution);
  /** What a scan or an execution was to read cannot be read, or is not what was written. */
  void read_failed(const Scan& scan, uint32_t status, uint64_t slba);
  void media_failed();
  uint32_t begin_execution(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  void executed(Scan& scan, uint32_t code);
  void forget(Scan& scan);
  /** Under mutex_. */
  uint32_t free_id();
  /** The scan is over: it goes to the audit trail. */
  void record(const Scan& scan);
  CommandResult refuse(const ScanSpec& spec, uint32_t status);
  bool crashed(const Module& module);

  const BackingFile& backing_;
  const UniqueFd media_;  // opened read-only, for slots to map; none: media is not memory
  const DatasetTable& datasets_;
  Slm& slm_;
  Counters& counters_;
  EventSink events_;
  std::function<void()> tell_media_failed_;
  TenantTable tenants_;
  AuditTrail audit_;
  Quarantine quarantine_;
  mutable std::mutex mutex_;  // never taken while a scan's lock is held
  std::map<uint32_t, std::shared_ptr<Scan>> scans_;
  Seating seating_;
  /** Scans of other tenants than the device's own; 0: slots have nobody to choose between. */
  uint32_t foreign_scans_ = 0;
  /** Of scans_: those that are an Execute Program. */
  size_t executions_ = 0;
  /** A tenant waits for memory; when it was looked after last. */
  bool bank_waited_for_ = false;
  uint64_t banks_assigned_ns_ = 0;
  uint32_t next_id_ = 1;
  std::unique_ptr<SlotSupervisor> supervisor_;
  std::vector<std::unique_ptr<Feeder>> feeders_;  // fixed between start and stop
};

}  // namespace millrace
