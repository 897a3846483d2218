#include "core/controller/log_pages.h"

#include <array>

#include "core/controller/admin_page.h"

namespace millrace {

namespace {

constexpr uint32_t kLogBytesMax = 4096;
using Page = std::span<std::byte>;

struct LogPage {
  uint32_t lid;
  uint32_t bytes;
  /** An NSID of 0 or FFFFFFFFh names the controller; no page here is one namespace's. */
  void (*fill)(Page page, const Association& association, uint32_t csi);
};

void put_u128(Page page, size_t at, uint64_t value) { put<uint64_t>(page, at, value); }

void fill_supported(Page page, const Association& association, uint32_t csi);

void fill_errors(Page page, const Association& association, uint32_t) { association.controller.errors.fill(page); }

/** Figure 207. */
void fill_health(Page page, const Association& association, uint32_t) {
  const Health& health = *association.controller.subsystem.health;
  const Health::Totals t = health.totals();
  constexpr uint64_t kDataUnitBytes = 512'000;
  constexpr uint64_t kNsPerMinute = 60'000'000'000;
  const auto units = [](uint64_t bytes) { return (bytes + kDataUnitBytes - 1) / kDataUnitBytes; };
  put<uint8_t>(page, 0, health.critical_warning());
  // Bytes 1-2, composite temperature: 0, there is no sensor.
  put<uint8_t>(page, 3, health.spare_percent());
  put<uint8_t>(page, 4, Health::kSpareThresholdPercent);
  put_u128(page, 32, units(t.read_bytes));
  put_u128(page, 48, units(t.written_bytes));
  put_u128(page, 64, t.read_commands);
  put_u128(page, 80, t.write_commands);
  put_u128(page, 96, t.busy_ns / kNsPerMinute);
  put_u128(page, 112, t.power_cycles);
  put_u128(page, 128, t.power_on_ns / kNsPerMinute / 60);
  put_u128(page, 144, t.unsafe_shutdowns);
  put_u128(page, 160, t.media_errors);
  put_u128(page, 176, t.error_entries);
}

void fill_firmware(Page page, const Association&, uint32_t) {
  put<uint8_t>(page, 0, 1);  // AFI: slot 1 runs
  put_text(page, 8, 8, "0.1.0");
}

/** Namespaces are there from the start and stay: nothing changes. */
void fill_changed(Page, const Association&, uint32_t) {}

void fill_effects(Page page, const Association&, uint32_t csi) {
  for (size_t i = 1; i < std::size(kCommands); i++) {
    const CommandEntry& c = kCommands[i];
    if (c.set == CommandSet::kAdmin) put<uint32_t>(page, c.opc * 4u, c.effects);
    else if (static_cast<uint32_t>(c.set) == csi) put<uint32_t>(page, 1024 + c.opc * 4u, c.effects);
  }
}

void fill_feature_effects(Page page, const Association&, uint32_t) {
  for (uint32_t fid = 0; fid < 256; fid++) put<uint32_t>(page, fid * 4, Features::effects(fid));
}

/** Figures 230 and 231: header of 16 bytes (change count, descriptors), then a descriptor with its list of NSIDs. */
void fill_reachability_groups(Page page, const Association& association, uint32_t) {
  const auto& namespaces = association.controller.subsystem.namespaces;
  put<uint64_t>(page, 0, 0);
  put<uint16_t>(page, 8, 1);
  put<uint32_t>(page, 16, 1);  // group 1: all namespaces reach each other
  put<uint32_t>(page, 20, static_cast<uint32_t>(namespaces.size()));
  size_t at = 48;
  for (const NamespaceFacts& n : namespaces) {
    put<uint32_t>(page, at, n.nsid);
    at += 4;
  }
}

void fill_reachability_associations(Page page, const Association&, uint32_t) {
  put<uint64_t>(page, 0, 0);
  put<uint16_t>(page, 8, 1);
  put<uint32_t>(page, 16, 1);  // association 1 of one group: group 1 with itself
  put<uint32_t>(page, 20, 1);
  put<uint32_t>(page, 48, 1);
}

/** 82h..84h: number and layout inferred, see unratified.h. A count, then entries. */
void fill_programs(Page page, const Association& association, uint32_t) {
  const auto entries = association.programs.list();
  put<uint32_t>(page, 0, static_cast<uint32_t>(entries.size()));
  size_t at = 16;
  for (const auto& e : entries) {
    put<uint16_t>(page, at, static_cast<uint16_t>(e.index));
    put<uint8_t>(page, at + 2, static_cast<uint8_t>(e.active ? 3 : e.loaded ? 2 : 1));  // LOADING, LOADED, ACTIVATED
    put<uint8_t>(page, at + 3, static_cast<uint8_t>(e.type));
    put<uint32_t>(page, at + 4, e.bytes);
    put<uint64_t>(page, at + 8, e.id);
    at += 16;
  }
}

void fill_program_types(Page page, const Association&, uint32_t) {
  put<uint32_t>(page, 0, 1);
  put<uint8_t>(page, 16, 0);  // PTYPE 0
  put_text(page, 20, 28, "kernel ABI v1");
}

void fill_range_sets(Page page, const Association& association, uint32_t) {
  const auto& sets = association.range_sets.all();
  put<uint32_t>(page, 0, static_cast<uint32_t>(sets.size()));
  size_t at = 16;
  for (const auto& [id, ranges] : sets) {
    put<uint16_t>(page, at, id);
    put<uint16_t>(page, at + 2, static_cast<uint16_t>(ranges->size()));
    at += 4;
  }
}

void fill_power(Page page, const Association& association, uint32_t) { association.controller.subsystem.power_log(page); }

constexpr LogPage kPages[] = {
    {wire::kLidSupported, 1024, fill_supported},
    {wire::kLidError, ErrorLog::kEntryBytes * kErrorEntriesMax, fill_errors},
    {wire::kLidHealth, 512, fill_health},
    {wire::kLidFirmwareSlot, 512, fill_firmware},
    {wire::kLidChangedNamespaces, 4096, fill_changed},
    {wire::kLidCommandEffects, 4096, fill_effects},
    {wire::kLidFeatureEffects, 1024, fill_feature_effects},
    {wire::kLidReachabilityGroups, 4096, fill_reachability_groups},
    {wire::kLidReachabilityAssociations, 4096, fill_reachability_associations},
    {wire::kLidPowerMeasurement, 4096, fill_power},
    {wire::kLidProgramList, 4096, fill_programs},
    {wire::kLidDownloadableProgramTypes, 512, fill_program_types},
    {wire::kLidMemoryRangeSets, 512, fill_range_sets},
};
static_assert(ErrorLog::kEntryBytes * kErrorEntriesMax <= kLogBytesMax);

const LogPage* page_of(const Association& association, uint32_t lid) {
  for (const LogPage& page : kPages)
    if (page.lid == lid && (lid != wire::kLidPowerMeasurement || association.controller.subsystem.power_log)) return &page;
  return nullptr;
}

void fill_supported(Page page, const Association& association, uint32_t) {
  for (uint32_t lid = 0; lid < 256; lid++)
    if (page_of(association, lid)) put<uint32_t>(page, lid * 4, 1);
}

}  // namespace

CommandResult get_log_page(Association& association, const wire::Sqe& sqe) {
  const uint32_t lid = sqe.cdw10 & 0xffu;
  const uint32_t csi = sqe.cdw14 >> 24;
  const LogPage* log = page_of(association, lid);
  if (!log) return {wire::kStatusInvalidLogPage};
  const bool retain = (sqe.cdw10 >> 15 & 1u) != 0;
  if ((sqe.cdw10 >> 8 & 0x7fu) != 0 || sqe.cdw11 >> 16 != 0) return {wire::kStatusInvalidField};         // no page here has an LSP or LSI
  if ((sqe.cdw14 & 0x7fu) != 0 || (sqe.cdw14 >> 23 & 1u) != 0) return {wire::kStatusInvalidField};       // no UUID list, no index offsets
  if (sqe.nsid != 0 && sqe.nsid != wire::kNsidAll) return {association.controller.subsystem.find(sqe.nsid) ? wire::kStatusInvalidField : wire::kStatusInvalidNamespace};
  if (lid != wire::kLidCommandEffects && csi != 0) return {wire::kStatusInvalidField};
  if (lid == wire::kLidCommandEffects && csi != wire::kCsiNvm && csi != wire::kCsiKv && csi != wire::kCsiSlm && csi != wire::kCsiCompute) return {wire::kStatusInvalidIoCommandSet};
  const uint64_t offset = uint64_t{sqe.cdw13} << 32 | sqe.cdw12;
  const uint64_t bytes = ((uint64_t{sqe.cdw11 & 0xffffu} << 16 | sqe.cdw10 >> 16) + 1) * 4;
  if (offset % 4 != 0 || offset > log->bytes) return {wire::kStatusInvalidField};
  if (bytes > kTransferBytesMax) return {wire::kStatusInvalidField};
  const auto data = association.data_of(sqe);
  if (!data) return {wire::kStatusInvalidField};
  if (data->size() < bytes) return {wire::kStatusDataSglLengthInvalid};
  std::array<std::byte, kLogBytesMax> page{};
  log->fill(page, association, csi);
  // What lies behind the page's end reads as zeros.
  const uint64_t there = std::min<uint64_t>(bytes, log->bytes - offset);
  std::memcpy(data->data(), page.data() + offset, there);
  std::memset(data->data() + there, 0, bytes - there);
  if (!retain) association.answer_event(association.controller.events.log_read(static_cast<uint8_t>(lid)));
  return {wire::kStatusSuccess, 0, 0, bytes};
}

}  // namespace millrace
