// Execute Program, as hosts give it (dwords: unratified.h). The I/O thread checks and queues it; a feeder runs it and completes it.
#include <algorithm>
#include <cstring>

#include "core/scan/execution.h"
#include "core/scan/scan_engine.h"

namespace millrace {

namespace {

/** The ranges the command names or brings along. */
uint32_t ranges_of(const Association& association, const wire::Sqe& sqe, MemoryRanges& ranges, std::shared_ptr<const MemoryRanges>& set) {
  const auto id = static_cast<uint16_t>(sqe.cdw2 >> 16);
  const uint32_t count = sqe.cdw3;
  const auto length = static_cast<uint32_t>(sqe.mptr);  // cdw4, DLEN; a Linux passthrough cannot set it: 0 is what the data pointer describes
  if (id != 0) {
    if (count != 0 || length != 0) return wire::kStatusInvalidField;
    set = association.range_sets.find(id);
    if (!set) return wire::kStatusInvalidMemoryRangeSetIdentifier;
    ranges = *set;
    return wire::kStatusSuccess;
  }
  if (count == 0) return wire::kStatusInvalidMemoryRangeSet;
  if (count > kMemoryRangesMax) return wire::kStatusMaximumMemoryRangesExceeded;
  const auto data = association.data_of(sqe);
  if (!data) return wire::kStatusInvalidField;
  const uint64_t needed = count * sizeof(wire::MemoryRange);
  if (length != 0 && length < needed) return wire::kStatusInvalidField;
  if (data->size() < needed || data->size() < length) return wire::kStatusDataSglLengthInvalid;
  ranges.resize(count);
  std::memcpy(ranges.data(), data->data(), needed);
  return check_ranges(ranges, association.controller.subsystem.bytes_of(wire::kNsidPmem));
}

uint64_t first_block(const wire::MemoryRange& r) { return r.start / kBlockBytes; }
uint64_t blocks_over(const wire::MemoryRange& r) { return (r.start + r.length + kBlockBytes - 1) / kBlockBytes - first_block(r); }

}  // namespace

uint32_t ScanEngine::take_media(const Association& association, const MemoryRanges& ranges, Execution::Holds& holds, Execution::Leases& leases) const {
  for (const wire::MemoryRange& r : std::span(ranges).first(ranges.size() - 1)) {
    // Held for hosts that may read all of the media too: what the slot is to see in place must stay that dataset's.
    auto lease = r.nsid == wire::kNsidPmem ? datasets_.holding(first_block(r), blocks_over(r), association.datasets.get()) : nullptr;
    if (r.nsid == wire::kNsidPmem && !lease && association.datasets) return wire::kStatusAccessDenied;
    leases.push_back(std::move(lease));
  }
  const wire::MemoryRange& output = ranges.back();
  if (output.nsid != wire::kNsidPmem) return wire::kStatusSuccess;
  auto permit = association.write_permit(first_block(output), blocks_over(output));
  if (!permit) return wire::kStatusNamespaceWriteProtected;
  holds.output = std::make_shared<WritePermit>(std::move(*permit));
  return wire::kStatusSuccess;
}

void ScanEngine::execute(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  if (const uint32_t status = begin_execution(association, queue_id, sqe); status != wire::kStatusSuccess) association->finish(queue_id, sqe, {status});
}

uint32_t ScanEngine::begin_execution(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  const uint32_t index = sqe.cdw2 & 0xffffu;
  ScanSpec spec;
  uint32_t status = wire::kStatusSuccess;
  spec.module = association->programs.active(index, status);
  if (!spec.module) return status;
  MemoryRanges ranges;
  Execution::Holds holds;
  status = ranges_of(*association, sqe, ranges, holds.set);
  if (status != wire::kStatusSuccess) return status;
  uint32_t rows = 0;
  status = Execution::check(ranges, sqe.cdw10, rows);
  if (status != wire::kStatusSuccess) return status;
  Execution::Leases leases;
  status = take_media(*association, ranges, holds, leases);
  if (status != wire::kStatusSuccess) return status;

  spec.tenant = tenants_.find(association->tenant);
  if (!spec.tenant) return wire::kStatusInvalidField;
  spec.actor = association->actor;
  spec.row_groups = {0};
  spec.out_bytes_max = kSlotOutBytes;
  spec.deadline_ms = spec.tenant->caps.deadline_ms;
  spec.compile_ms = spec.tenant->caps.compile_ms;
  if (feeders_.empty()) return wire::kStatusInsufficientResources;
  if (spec.tenant->kernels && spec.tenant->kernels->count(spec.module->digest) == 0) return refuse(spec, wire::kStatusKernelNotAllowed).status;
  if (quarantine_.refuses(*spec.module)) return refuse(spec, wire::kStatusKernelQuarantined).status;

  holds.program = association->programs.hold(index);
  spec.execution = std::make_shared<Execution>(queue_id, sqe, std::move(ranges), rows, std::move(holds), std::move(leases), [this](Scan& scan, uint32_t code) { executed(scan, code); });
  {
    const std::lock_guard lock(mutex_);
    size_t own = 0;
    for (const auto& [id, scan] : scans_) own += scan->spec.execution && scan->owner == association;
    if (own >= kExecutionsMax) return wire::kStatusInsufficientProgramResources;
    const bool foreign = spec.tenant->id != kOwnTenant;
    if (foreign) foreign_scans_++;
    executions_++;
    const uint32_t id = free_id();
    scans_.emplace(id, std::make_shared<Scan>(id, association, std::move(spec), counters_));
    if (foreign) assign_banks();
  }
  kick_all();
  return wire::kStatusSuccess;
}

/** Its morsel is over, by the feeder that ran it. Nothing is done for one that was aborted meanwhile. */
void ScanEngine::executed(Scan& scan, uint32_t code) {
  Execution& execution = *scan.spec.execution;
  auto held = execution.settle();
  if (!held) return;
  forget(scan);
  CommandResult result;
  if (code == 0) result = put_out(*scan.owner, execution);
  else if (code < kStatusCodesFrom) result = {wire::kStatusGuestFault, code};
  else result.status = code;
  held.reset();  // when its host hears of the end, set and program are free, and no write of it is under way
  scan.owner->finish(execution.queue_id, execution.sqe, result);
}

CommandResult ScanEngine::put_out(Association& owner, const Execution& execution) {
  const std::vector<std::byte> bytes = execution.laid_out();
  const uint64_t to = execution.output().start;
  const CommandResult done{wire::kStatusSuccess, static_cast<uint32_t>(bytes.size())};
  if (execution.output().nsid == wire::kNsidPmem) {
    const bool durable = !owner.controller.features.write_cache();
    owner.expect(execution.queue_id, execution.sqe.cid, plan_execute_output({to, bytes.size()}, durable));
    uint32_t status = bytes.empty() ? uint32_t{wire::kStatusSuccess} : backing_.write_bytes(to, bytes.size(), bytes.data());
    if (status == wire::kStatusSuccess) Counters::add(counters_.media_written_bytes, bytes.size());
    // On the feeder's thread: a host that turned its write cache off has its slot wait for the media.
    if (status == wire::kStatusSuccess && durable) status = backing_.flush();
    if (status == wire::kStatusSuccess) return done;
    if (status == wire::kStatusWriteFault) media_failed();
    return {status};
  }
  HostMemory& memory = owner.memory;
  const auto turns = [&](auto&& each) {
    for (uint64_t at = 0; at < bytes.size(); at += HostMemory::kTurnBytes)
      if (!each(at, std::min<uint64_t>(HostMemory::kTurnBytes, bytes.size() - at))) return false;
    return true;
  };
  if (!turns([&](uint64_t at, uint64_t n) { return memory.reserve(to + at, n); })) return {wire::kStatusCapacityExceeded};
  turns([&](uint64_t at, uint64_t n) { return memory.write(to + at, std::span(bytes).subspan(at, n)); });
  return done;
}

/** A settled execution: no slot takes it any more, and the one that has it stops. */
void ScanEngine::forget(Scan& scan) {
  {
    const std::lock_guard lock(mutex_);
    // Whoever erases keeps the numbers; a host that left took all of its own with it.
    const auto it = scans_.find(scan.id);
    if (it == scans_.end() || it->second.get() != &scan) return;
    scans_.erase(it);
    executions_--;
    if (scan.spec.tenant->id != kOwnTenant) foreign_scans_--;
    if (foreign_scans_ > 0) assign_banks();
  }
  scan.close();
  record(scan);
  kick_all();
}

}  // namespace millrace
