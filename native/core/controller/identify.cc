#include "core/controller/identify.h"

#include <algorithm>
#include <bit>

#include "core/controller/admin_page.h"

namespace millrace {

namespace {

constexpr size_t kIdentifyBytes = 4096;
using Page = std::span<std::byte>;

/** Optional NVM commands (ONCS): Compare, Dataset Management, Write Zeroes, Save/Select of features, Timestamp, Verify, Copy. Not Write Uncorrectable. */
constexpr uint16_t kOncs = 1u << 0 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 6 | 1u << 7 | 1u << 8;

/**
 * Power state 0, the only one: operational, entered and left at once. NVMe base specification 2.0, figure 276. What a profile does not
 * say is 0: not reported. Active power is that of a workload the specification names; rated figures name none.
 */
void put_power_state(Page page, const PowerSettings& power) {
  const auto centiwatts = [](double watts) { return static_cast<uint16_t>(std::clamp(watts * 100 + 0.5, 0.0, 65535.0)); };
  put<uint16_t>(page, 2048, centiwatts(std::max(power.read_w, power.write_w)));  // MP, in units of 0.01 W (MXPS 0)
  put<uint16_t>(page, 2048 + 16, centiwatts(power.idle_w));                      // IDLP
  put<uint8_t>(page, 2048 + 18, power.idle_w > 0 ? 2u << 6 : 0);                 // IPS: 0.01 W
}

void put_controller(Page page, const Controller& c) {
  put_text(page, 4, 20, c.subsystem.serial);
  put_text(page, 24, 40, "Millrace");
  put_text(page, 64, 8, "0.1.0");
  put<uint8_t>(page, 72, 4);                                                                         // RAB: as large as the burst of Arbitration
  put<uint8_t>(page, 76, 1u << 1);                                                                   // CMIC: many controllers
  put<uint8_t>(page, 77, static_cast<uint8_t>(std::bit_width(kTransferBytesMax / kPageBytes) - 1));  // MDTS
  put<uint16_t>(page, 78, c.id);
  put<uint32_t>(page, 80, static_cast<uint32_t>(c.property(Controller::kVs)));
  put<uint32_t>(page, 92, Features::kNoticeNamespaceChanged);  // OAES
  put<uint32_t>(page, 96, 1u << 0 | 1u << 6);                  // CTRATT: 128-bit host identifier, traffic based keep alive
  put<uint8_t>(page, 111, 1);                                  // CNTRLTYPE: I/O
  put<uint16_t>(page, 256, 0);                                 // OACS: no Format, Sanitize, Firmware, Namespace Management, Security
  put<uint8_t>(page, 258, 3);                                  // ACL: 4 Aborts
  put<uint8_t>(page, 259, kAsyncEventsMax - 1);                // AERL
  put<uint8_t>(page, 260, 1u << 0 | 1u << 1);                  // FRMW: slot 1, read-only
  put<uint8_t>(page, 261, 1u << 1 | 1u << 2 | 1u << 5);        // LPA: effects log, extended data, supported pages
  put<uint8_t>(page, 262, kErrorEntriesMax - 1);               // ELPE
  // NPSS 0: one power state; no autonomous transitions (APSTA 0).
  if (c.subsystem.power) put_power_state(page, *c.subsystem.power);
  put<uint16_t>(page, 320, 1);                                 // KAS: 100 ms
  put<uint8_t>(page, 512, 0x66);                               // SQES
  put<uint8_t>(page, 513, 0x44);                               // CQES
  put<uint16_t>(page, 514, c.fabric.maxcmd);
  put<uint32_t>(page, 516, c.subsystem.nsid_max());  // NN
  put<uint16_t>(page, 520, kOncs);
  put<uint8_t>(page, 525, 0x07);      // VWC present; Flush takes NSID FFFFFFFFh
  // AWUN, AWUPF: 0 is one block, the least there is to say. What holds, and what does not after a power cut: docs/nvme.md.
  put<uint8_t>(page, 531, 1);         // NWPC: Namespace Write Protection Config is there to read
  put<uint16_t>(page, 534, 1u << 0 | 1u << 2);  // OCFS: copy descriptor formats 0h and 2h
  put<uint32_t>(page, 536, c.fabric.sgls);
  std::memcpy(page.data() + 768, c.subsystem.nqn.data(), std::min<size_t>(c.subsystem.nqn.size(), 223));
  put<uint32_t>(page, 1792, c.fabric.ioccsz);
  put<uint32_t>(page, 1796, c.fabric.iorcsz);
  put<uint16_t>(page, 1800, c.fabric.icdoff);
  put<uint8_t>(page, 1803, c.fabric.msdbd);
  put<uint16_t>(page, 1804, c.fabric.ofcs);
}

/** NVM command set 1.0, figure 97. */
void put_blocks(Page page, const Subsystem& subsystem, const NamespaceFacts& n) {
  const uint64_t blocks = n.bytes / kBlockBytes;
  put<uint64_t>(page, 0, blocks);                                                          // NSZE
  put<uint64_t>(page, 8, blocks);                                                          // NCAP
  put<uint64_t>(page, 16, n.used_bytes ? n.used_bytes() / kBlockBytes : blocks);           // NUSE
  put<uint8_t>(page, 24, n.used_bytes ? 1 : 0);                                            // NSFEAT: thin provisioning
  put<uint8_t>(page, 30, 1);                                                               // NMIC: may be shared
  put<uint8_t>(page, 33, 1u << 0 | 1u << 3);                                               // DLFEAT: deallocated blocks read 0, Write Zeroes may deallocate
  put<uint16_t>(page, 74, static_cast<uint16_t>(kTransferBytesMax / kBlockBytes));         // MSSRL
  put<uint32_t>(page, 76, static_cast<uint32_t>(kTransferBytesMax / kBlockBytes));         // MCL
  put<uint8_t>(page, 80, static_cast<uint8_t>(kCopyRangesMax - 1));                        // MSRC
  put<uint8_t>(page, 99, n.writable ? 0 : 1);                                              // NSATTR: write protected
  put_bytes(page, 104, subsystem.nguid(n.nsid));
  put<uint32_t>(page, 128, 12u << 16);  // LBAF0: LBADS 12
}

/** NVMe base specification 2.0, figure 280. */
void put_independent(Page page, const NamespaceFacts& n) {
  put<uint8_t>(page, 1, 1);                    // NMIC
  put<uint8_t>(page, 8, n.csi == wire::kCsiNvm && !n.writable ? 1 : 0);  // NSATTR
  put<uint8_t>(page, 14, 1);                   // NSTAT: ready
}

/** NVMe base specification 2.0, figure 278: NIDT, NIDL, two reserved bytes, the identifier. */
size_t put_descriptor(Page page, size_t at, uint8_t type, std::span<const uint8_t> id) {
  put<uint8_t>(page, at, type);
  put<uint8_t>(page, at + 1, static_cast<uint8_t>(id.size()));
  put_bytes(page, at + 4, id);
  return at + 4 + id.size();
}

void put_descriptors(Page page, const Subsystem& subsystem, const NamespaceFacts& n) {
  const auto id = subsystem.nguid(n.nsid);
  const auto csi = static_cast<uint8_t>(n.csi);
  size_t at = put_descriptor(page, 0, 2, id);  // NGUID
  at = put_descriptor(page, at, 3, id);        // UUID
  put_descriptor(page, at, 4, {&csi, 1});      // CSI
}

bool csi_known(uint32_t csi) { return csi == wire::kCsiNvm || csi == wire::kCsiKv || csi == wire::kCsiSlm || csi == wire::kCsiCompute; }

/** Identify for one I/O command set, of the controller (CNS 06h). */
void put_cs_controller(Page page, uint32_t csi) {
  if (csi != wire::kCsiNvm) return;  // nothing beyond the common fields
  put<uint8_t>(page, 0, static_cast<uint8_t>(std::bit_width(kTransferBytesMax / kPageBytes) - 1));     // VSL
  put<uint8_t>(page, 1, static_cast<uint8_t>(std::bit_width(kWriteZeroesBytesMax / kPageBytes) - 1));  // WZSL
}

/** KV command set 1.0, 4.1.5.1: one format. */
void put_key_values(Page page, const Subsystem& subsystem, const NamespaceFacts& n) {
  wire::KvIdentifyNamespace kv{};
  kv.nsze = n.bytes;
  kv.nuse = n.used_bytes();
  kv.nmic = 1;
  kv.novg = 1;
  kv.key_bytes_max = kKvKeyBytesMax;
  kv.value_bytes_max = kKvValueBytesMax;
  std::memcpy(page.data(), &kv, sizeof kv);
  put_bytes(page, offsetof(wire::KvIdentifyNamespace, nguid), subsystem.nguid(n.nsid));
}

/** CNS 05h. What is beyond the common fields of CSI 3 and 4 is inferred: see unratified.h. */
void put_cs_namespace(Page page, const Subsystem& subsystem, const NamespaceFacts& n) {
  if (n.csi == wire::kCsiKv) return put_key_values(page, subsystem, n);
  if (n.csi == wire::kCsiNvm) return;  // no protection information formats
  put<uint64_t>(page, 0, n.bytes);     // NSZE
  if (n.used_bytes) put<uint64_t>(page, 16, n.used_bytes());
}

uint32_t fill(Page page, const Controller& c, const wire::Sqe& sqe) {
  const uint32_t csi = sqe.cdw11 >> 24;
  const uint32_t controller_id = sqe.cdw10 >> 16;
  const uint32_t cns = sqe.cdw10 & 0xffu;
  const Subsystem& subsystem = c.subsystem;
  if ((sqe.cdw14 & 0x7fu) != 0 || (sqe.cdw11 & 0xffffu) != 0) return wire::kStatusInvalidField;  // no UUID list, no CNS specific identifier
  const bool with_csi = cns == wire::kCnsCsNamespace || cns == wire::kCnsCsController || cns == wire::kCnsCsActiveNamespaces;
  if (!with_csi && csi != 0) return wire::kStatusInvalidField;
  if (cns != wire::kCnsIoCommandSets && controller_id != 0) return wire::kStatusInvalidField;
  if (with_csi && !csi_known(csi)) return wire::kStatusInvalidIoCommandSet;
  if (with_csi && !c.command_set_enabled(csi)) return wire::kStatusIoCommandSetNotEnabled;
  const NamespaceFacts* n = subsystem.find(sqe.nsid);
  switch (cns) {
    case wire::kCnsController:
      if (sqe.nsid != 0) return wire::kStatusInvalidNamespace;
      put_controller(page, c);
      return wire::kStatusSuccess;
    case wire::kCnsNamespace:
      if (!n) return wire::kStatusInvalidNamespace;
      if (n->csi != wire::kCsiNvm) return wire::kStatusInvalidIoCommandSet;
      put_blocks(page, subsystem, *n);
      return wire::kStatusSuccess;
    case wire::kCnsActiveNamespaces:
    case wire::kCnsCsActiveNamespaces: {
      if (sqe.nsid >= 0xfffffffe) return wire::kStatusInvalidNamespace;
      size_t at = 0;
      for (const NamespaceFacts& each : subsystem.namespaces) {
        if (each.nsid <= sqe.nsid || (cns == wire::kCnsCsActiveNamespaces && each.csi != csi) || !c.command_set_enabled(each.csi)) continue;
        put<uint32_t>(page, at, each.nsid);
        at += 4;
      }
      return wire::kStatusSuccess;
    }
    case wire::kCnsNamespaceDescriptors:
      if (!n) return wire::kStatusInvalidNamespace;
      put_descriptors(page, subsystem, *n);
      return wire::kStatusSuccess;
    case wire::kCnsCsNamespace:
      if (!n) return wire::kStatusInvalidNamespace;
      if (n->csi != csi) return wire::kStatusInvalidIoCommandSet;
      put_cs_namespace(page, subsystem, *n);
      return wire::kStatusSuccess;
    case wire::kCnsCsController:
      if (sqe.nsid != 0) return wire::kStatusInvalidNamespace;
      put_cs_controller(page, csi);
      return wire::kStatusSuccess;
    case wire::kCnsIndependentNamespace:
      if (!n) return wire::kStatusInvalidNamespace;
      put_independent(page, *n);
      return wire::kStatusSuccess;
    case wire::kCnsIoCommandSets:
      if (sqe.nsid != 0) return wire::kStatusInvalidNamespace;
      if (controller_id != 0xffff && controller_id != c.id) return wire::kStatusInvalidField;
      put<uint64_t>(page, 0, 1u << wire::kCsiNvm | 1u << wire::kCsiKv | 1u << wire::kCsiSlm | 1u << wire::kCsiCompute);
      return wire::kStatusSuccess;
    default: return wire::kStatusInvalidField;
  }
}

}  // namespace

CommandResult identify(const Association& association, const wire::Sqe& sqe) {
  std::byte page[kIdentifyBytes] = {};
  if (const uint32_t status = fill(page, association.controller, sqe); status != wire::kStatusSuccess) return {status};
  const auto data = association.data_of(sqe);
  if (!data) return {wire::kStatusInvalidField};
  if (data->size() < kIdentifyBytes) return {wire::kStatusDataSglLengthInvalid};
  std::memcpy(data->data(), page, sizeof page);
  return {wire::kStatusSuccess, 0, 0, sizeof page};
}

}  // namespace millrace
