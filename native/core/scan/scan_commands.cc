// Scan commands: what a host sends is copied once, checked, then used.
#include <algorithm>
#include <cstring>

#include "core/model/clock.h"
#include "core/scan/scan_engine.h"

namespace millrace {

namespace {

constexpr uint32_t kNoProgram = 0xffffffff;

/** Copies u32 values out of the host's memory. */
std::vector<uint32_t> copy_words(const std::byte* from, uint64_t count) {
  std::vector<uint32_t> words(count);
  if (count > 0) std::memcpy(words.data(), from, count * sizeof(uint32_t));
  return words;
}

/** Digests at an address of any alignment. */
std::vector<Sha256> copy_digests(const std::byte* from, uint64_t count) {
  std::vector<Sha256> digests(count);
  if (count > 0) std::memcpy(digests.data(), from, count * sizeof(Sha256));
  return digests;
}

/** A generated kernel holds no code of users but what it was made of; any other is what its own digest says. */
bool allowed(const ScanSpec& spec) {
  const auto& list = spec.tenant->kernels;
  if (!list) return true;
  if (!spec.made_of) return list->count(spec.module->digest) > 0;
  return std::all_of(spec.made_of->begin(), spec.made_of->end(), [&](const Sha256& digest) { return list->count(digest) > 0; });
}

bool ascending_below(const std::vector<uint32_t>& values, uint32_t bound) {
  for (size_t i = 0; i < values.size(); i++)
    if (values[i] >= bound || (i > 0 && values[i] <= values[i - 1])) return false;
  return true;
}

/** 0: no dataset, but memory of the host. */
uint32_t handle_of(const ScanSpec& spec) { return spec.dataset ? spec.dataset->header().handle : 0; }

uint64_t bytes_of(const ScanSpec& spec) {
  uint64_t sum = 0;
  for (const uint32_t column : spec.columns)
    for (const uint32_t group : spec.row_groups) sum += chunk_blocks(spec.dataset->chunk(column, group)) * kBlockBytes;
  return sum;
}

}  // namespace

void ScanEngine::record(const Scan& scan) {
  const ScanSpec& spec = scan.spec;
  const AuditRecord entry{spec.tenant->id, spec.actor, handle_of(spec), spec.module ? std::optional(spec.module->digest) : std::nullopt, spec.made_of,
                          static_cast<uint32_t>(spec.row_groups.size()), scan.device_ran(), scan.first_fault(), false, monotonic_ns() - scan.opened_ns};
  if (audit_.add(entry)) events_("audit", "");
}

CommandResult ScanEngine::refuse(const ScanSpec& spec, uint32_t status) {
  if (audit_.add({spec.tenant->id, spec.actor, handle_of(spec), spec.module->digest, spec.made_of, static_cast<uint32_t>(spec.row_groups.size()), 0, status, true, 0})) events_("audit", "");
  return {status};
}

CommandResult ScanEngine::open(const std::shared_ptr<Association>& association, const wire::Sqe& sqe) {
  const auto data = association->data_of(sqe);
  wire::ScanDescriptor d;
  if (!data || data->size() < sizeof d) return {wire::kStatusInvalidField};
  std::memcpy(&d, data->data(), sizeof d);
  const uint64_t words = uint64_t{d.column_count} + d.morsel_count;
  if (d.column_count > kScanColumnsMax || d.morsel_count > kMorselsMax || uint64_t{d.column_count} * d.morsel_count > kChunkRecordsMax || d.user_module_count > kUserModulesMax) return {wire::kStatusInvalidField};
  if (data->size() < sizeof d + words * sizeof(uint32_t) + d.user_module_count * sizeof(Sha256)) return {wire::kStatusInvalidField};
  const uint32_t known = wire::kScanFlagDeviceRuns | wire::kScanFlagFeedResident | wire::kScanFlagFeedWindow | wire::kScanFlagStream | wire::kScanFlagHeld | wire::kScanFlagVouched;
  if ((d.flags & ~known) != 0) return {wire::kStatusInvalidField};
  const bool stream = (d.flags & wire::kScanFlagStream) != 0;
  if (stream && ((d.flags & wire::kScanFlagDeviceRuns) == 0 || d.limit_rows != 0 || d.morsel_count == 0)) return {wire::kStatusInvalidField};
  if (!stream && (d.flags & wire::kScanFlagHeld) != 0) return {wire::kStatusInvalidField};

  // Whoever may name the tenant may say what a kernel is made of: both are the daemon's own to tell, never a host's.
  const bool vouched = (d.flags & wire::kScanFlagVouched) != 0;
  if (vouched && (!association->acts_for_others || stream || (d.flags & wire::kScanFlagDeviceRuns) == 0)) return {wire::kStatusInvalidField};
  if (!vouched && d.user_module_count != 0) return {wire::kStatusInvalidField};

  ScanSpec spec;
  if (d.tenant != 0 && !association->acts_for_others) return {wire::kStatusInvalidField};
  spec.tenant = tenants_.find(d.tenant != 0 ? d.tenant : association->tenant);
  if (!spec.tenant) return {wire::kStatusInvalidField};
  spec.actor = association->acts_for_others ? d.actor : association->actor;
  const TenantCaps& caps = spec.tenant->caps;
  spec.dataset = datasets_.find(d.dataset_handle, association->datasets.get());
  if (!spec.dataset) return {wire::kStatusNoSuchDataset};
  spec.columns = copy_words(data->data() + sizeof d, d.column_count);
  spec.row_groups = copy_words(data->data() + sizeof d + d.column_count * sizeof(uint32_t), d.morsel_count);
  if (vouched) spec.made_of = copy_digests(data->data() + sizeof d + words * sizeof(uint32_t), d.user_module_count);
  const auto& header = spec.dataset->header();
  if (header.columns == 0 || std::any_of(spec.columns.begin(), spec.columns.end(), [&](uint32_t c) { return c >= header.columns; })) return {wire::kStatusInvalidField};
  if (!ascending_below(spec.row_groups, header.row_groups)) return {wire::kStatusInvalidField};
  if (d.flags & wire::kScanFlagDeviceRuns) {
    if (feeders_.empty()) return {wire::kStatusInsufficientResources};
    uint32_t status = wire::kStatusSuccess;
    spec.module = association->programs.active(d.program_index, status);
    if (!spec.module) return {status};
    if (!allowed(spec)) return refuse(spec, wire::kStatusKernelNotAllowed);
    if (quarantine_.refuses(*spec.module)) return refuse(spec, wire::kStatusKernelQuarantined);
  } else if (d.program_index != kNoProgram) {
    return {wire::kStatusInvalidField};
  }
  spec.out_bytes_max = d.output_bytes_max == 0 ? kSlotOutBytes : std::clamp<uint64_t>(d.output_bytes_max, kSlotOutBytesMin, kSlotOutBytes);
  // The device's own tenant has a default, others a cap.
  const uint32_t longest_ms = spec.tenant->id == kOwnTenant ? kDeadlineMsMax : caps.deadline_ms;
  spec.deadline_ms = d.deadline_ms == 0 ? caps.deadline_ms : std::min(d.deadline_ms, longest_ms);
  spec.compile_ms = caps.compile_ms;
  spec.limit_rows = d.limit_rows;
  spec.stream = stream;
  spec.held = (d.flags & wire::kScanFlagHeld) != 0;
  spec.feed_window_only = (d.flags & wire::kScanFlagFeedWindow) != 0;
  spec.feed_resident = (d.flags & wire::kScanFlagFeedResident) != 0 || bytes_of(spec) <= (spec.tenant->id == kOwnTenant ? slm_.resident().capacity() : seating_.memory().resident_bytes()) / 2;

  uint32_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (scans_.size() - executions_ >= kScansMax) return {wire::kStatusTooManyScans};
    id = free_id();
    if (spec.tenant->id != kOwnTenant) foreign_scans_++;
    const bool device_runs = spec.module != nullptr;
    const bool foreign = spec.tenant->id != kOwnTenant;
    scans_.emplace(id, std::make_shared<Scan>(id, association, std::move(spec), counters_));
    if (foreign && device_runs) assign_banks();
  }
  kick_all();
  return {wire::kStatusSuccess, id};
}

void ScanEngine::result(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  const auto data = association->data_of(sqe);
  const auto scan = find(*association, sqe.cdw10);
  if (!scan || !data || data->size() < sizeof(wire::FrameHeader)) {
    association->complete(queue_id, sqe.cid, scan ? wire::kStatusInvalidField : wire::kStatusNoSuchScan);
    return;
  }
  if (scan->result(queue_id, sqe.cid, *data)) kick_all();
}

void ScanEngine::checkpoint(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  const auto data = association->data_of(sqe);
  const auto scan = find(*association, sqe.cdw10);
  uint32_t status = scan ? wire::kStatusInvalidField : wire::kStatusNoSuchScan;
  if (scan && data && !data->empty()) status = scan->checkpoint({queue_id, sqe.cid, *data, sqe.cdw11});
  if (status != wire::kStatusSuccess) return association->finish(queue_id, sqe, {status});
  kick_all();
}

void ScanEngine::restore(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  const auto scan = find(*association, sqe.cdw10);
  const auto data = sqe.cdw12 == 0 ? std::optional<std::span<std::byte>>(std::span<std::byte>()) : association->data_of(sqe);
  uint32_t status = scan ? wire::kStatusInvalidField : wire::kStatusNoSuchScan;
  bool completed = true;
  if (scan && data) status = scan->restore({queue_id, sqe.cid, *data, sqe.cdw11}, sqe.cdw12, sqe.cdw13, completed);
  if (completed) association->finish(queue_id, sqe, {status});
  kick_all();
}

CommandResult ScanEngine::claim(const Association& association, const wire::Sqe& sqe) {
  const auto scan = find(association, sqe.cdw10);
  if (!scan) return {wire::kStatusNoSuchScan};
  const auto data = association.data_of(sqe);
  const uint64_t wanted = std::min<uint64_t>(sqe.cdw11, scan->spec.row_groups.size());
  if (!data || data->size() < wanted * sizeof(uint32_t)) return {wire::kStatusInvalidField};
  std::vector<uint32_t> morsels(wanted);
  const uint32_t n = scan->claim(morsels);
  if (n > 0) std::memcpy(data->data(), morsels.data(), n * sizeof(uint32_t));
  return {wire::kStatusSuccess, n, 0, n * sizeof(uint32_t)};
}

CommandResult ScanEngine::give_back(const Association& association, const wire::Sqe& sqe) {
  const auto scan = find(association, sqe.cdw10);
  if (!scan) return {wire::kStatusNoSuchScan};
  const auto data = association.data_of(sqe);
  if (!data || sqe.cdw11 > scan->spec.row_groups.size() || data->size() < uint64_t{sqe.cdw11} * sizeof(uint32_t)) return {wire::kStatusInvalidField};
  const uint32_t status = scan->give_back(copy_words(data->data(), sqe.cdw11));
  kick_all();
  return {status};
}

CommandResult ScanEngine::done(const Association& association, const wire::Sqe& sqe) {
  const auto scan = find(association, sqe.cdw10);
  if (!scan) return {wire::kStatusNoSuchScan};
  const auto data = association.data_of(sqe);
  if (!data || sqe.cdw11 > scan->spec.row_groups.size() || data->size() < uint64_t{sqe.cdw11} * sizeof(Scan::Finished)) return {wire::kStatusInvalidField};
  const auto words = copy_words(data->data(), uint64_t{sqe.cdw11} * 2);
  std::vector<Scan::Finished> finished(sqe.cdw11);
  for (uint32_t i = 0; i < sqe.cdw11; i++) finished[i] = {words[2 * i], words[2 * i + 1]};
  const uint32_t status = scan->done(finished);
  if (scan->spec.limit_rows > 0) kick_all();  // the prefix may have grown
  return {status};
}

CommandResult ScanEngine::close(Association& association, const wire::Sqe& sqe) {
  const auto scan = find(association, sqe.cdw10);
  if (!scan) return {wire::kStatusNoSuchScan};
  {
    const std::lock_guard lock(mutex_);
    if (scans_.erase(scan->id) > 0 && scan->spec.tenant->id != kOwnTenant) foreign_scans_--;
    if (foreign_scans_ > 0) assign_banks();
  }
  scan->close();
  record(*scan);
  kick_all();
  return {};
}

}  // namespace millrace
