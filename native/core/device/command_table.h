// Every command the device knows, once: which queue and command set, which bits of its dwords mean something, what it changes.
// Dispatch, the check of reserved bits and the Commands Supported and Effects log are made of this table.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "wire/wire.gen.h"

namespace millrace {

/** Whose opcodes: the admin queue's, or those of an I/O command set (by the CSI of the namespace). */
enum class CommandSet : uint8_t { kNvm = wire::kCsiNvm, kKv = wire::kCsiKv, kZoned = wire::kCsiZoned, kSlm = wire::kCsiSlm, kCompute = wire::kCsiCompute, kAdmin };
inline constexpr size_t kCommandSets = 6;

/** What NSID an admin command takes. I/O commands name a namespace of their set. */
enum class NsidRule : uint8_t { kNone, kOwn, kCompute };

/** NVMe base specification 2.0, figure 210: command effects. */
inline constexpr uint32_t kEffectSupported = 1u << 0;
inline constexpr uint32_t kEffectContent = 1u << 1;
inline constexpr uint32_t kEffectNamespace = 1u << 2;

// X(name, set, opcode, namespace rule, effects beside "supported", defined bits of cdw2, cdw3, cdw4, cdw10, cdw11, cdw12, cdw13, cdw14, cdw15)
// clang-format off
#define MILLRACE_COMMANDS(X) \
  X(DeleteIoSq,         kAdmin,   wire::kOpcodeAdminDeleteIoSq,         kNone,    0, 0, 0, 0, 0xffff, 0, 0, 0, 0, 0) \
  X(CreateIoSq,         kAdmin,   wire::kOpcodeAdminCreateIoSq,         kNone,    0, 0, 0, 0, ~0u, 0xffff0007, 0, 0, 0, 0) \
  X(GetLogPage,         kAdmin,   wire::kOpcodeAdminGetLogPage,         kOwn,     0, 0, 0, 0, ~0u, ~0u, ~0u, ~0u, 0xff80007f, 0) \
  X(DeleteIoCq,         kAdmin,   wire::kOpcodeAdminDeleteIoCq,         kNone,    0, 0, 0, 0, 0xffff, 0, 0, 0, 0, 0) \
  X(CreateIoCq,         kAdmin,   wire::kOpcodeAdminCreateIoCq,         kNone,    0, 0, 0, 0, ~0u, 0xffff0003, 0, 0, 0, 0) \
  X(Identify,           kAdmin,   wire::kOpcodeAdminIdentify,           kOwn,     0, 0, 0, 0, 0xffff00ff, 0xff00ffff, 0, 0, 0x7f, 0) \
  X(Abort,              kAdmin,   wire::kOpcodeAdminAbort,              kNone,    0, 0, 0, 0, ~0u, 0, 0, 0, 0, 0) \
  X(SetFeatures,        kAdmin,   wire::kOpcodeAdminSetFeatures,        kOwn,     0, 0, 0, 0, 0x800000ff, ~0u, ~0u, ~0u, 0x7f, ~0u) \
  X(GetFeatures,        kAdmin,   wire::kOpcodeAdminGetFeatures,        kOwn,     0, 0, 0, 0, 0x7ff, ~0u, 0, 0, 0x7f, 0) \
  X(AsyncEventRequest,  kAdmin,   wire::kOpcodeAdminAsyncEventRequest,  kNone,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0) \
  X(KeepAlive,          kAdmin,   wire::kOpcodeAdminKeepAlive,          kNone,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0) \
  X(LoadProgram,        kAdmin,   wire::kOpcodeAdminLoadProgram,        kCompute, 0, 0, 0, 0, 0x0fffffff, ~0u, ~0u, ~0u, ~0u, ~0u) \
  X(ActivateProgram,    kAdmin,   wire::kOpcodeAdminActivateProgram,    kCompute, 0, 0, 0, 0, 0x000fffff, 0, 0, 0, 0, 0) \
  X(Read,               kNvm,     wire::kOpcodeRead,                    kOwn,     0, 0, 0, 0, ~0u, ~0u, 0xc000ffff, 0xff, 0, 0) \
  X(Write,              kNvm,     wire::kOpcodeWrite,                   kOwn,     kEffectContent, 0, 0, 0, ~0u, ~0u, 0xc000ffff, 0xff, 0, 0) \
  X(Flush,              kNvm,     wire::kOpcodeFlush,                   kOwn,     0, 0, 0, 0, 0, 0, 0, 0, 0, 0) \
  X(Compare,            kNvm,     wire::kOpcodeCompare,                 kOwn,     0, 0, 0, 0, ~0u, ~0u, 0xc000ffff, 0, 0, 0) \
  X(WriteZeroes,        kNvm,     wire::kOpcodeWriteZeroes,             kOwn,     kEffectContent, 0, 0, 0, ~0u, ~0u, 0xc200ffff, 0, 0, 0) \
  X(DatasetManagement,  kNvm,     wire::kOpcodeDatasetManagement,       kOwn,     kEffectContent, 0, 0, 0, 0xff, 7, 0, 0, 0, 0) \
  X(Verify,             kNvm,     wire::kOpcodeVerify,                  kOwn,     0, 0, 0, 0, ~0u, ~0u, 0xc000ffff, 0, 0, 0) \
  X(Copy,               kNvm,     wire::kOpcodeCopy,                    kOwn,     kEffectContent, 0, 0, 0, ~0u, ~0u, 0xc0000fff, 0, 0, 0) \
  X(MemoryFill,         kSlm,     wire::kOpcodeMemoryFill,              kOwn,     kEffectContent, 0, 0, 0, ~0u, ~0u, ~0u, 0, 0, 0) \
  X(MemoryWrite,        kSlm,     wire::kOpcodeMemoryWrite,             kOwn,     kEffectContent, 0, 0, 0, ~0u, ~0u, ~0u, 0, 0, 0) \
  X(MemoryRangeSet,     kAdmin,   wire::kOpcodeAdminMemoryRangeSet,     kCompute, 0, 0, 0, 0, 0xffff000f, 0xff, 0, 0, 0, 0) \
  X(MemoryCopy,         kSlm,     wire::kOpcodeMemoryCopy,              kOwn,     kEffectContent, ~0u, ~0u, 0, ~0u, ~0u, 0xfff, ~0u, 0, 0) \
  X(MemoryRead,         kSlm,     wire::kOpcodeMemoryRead,              kOwn,     0, 0, 0, 0, ~0u, ~0u, ~0u, 0, 0, 0) \
  X(KvFlush,            kKv,      wire::kKvOpcodeFlush,                 kOwn,     0, 0, 0, 0, 0, 0, 0, 0, 0, 0) \
  X(KvStore,            kKv,      wire::kKvOpcodeStore,                 kOwn,     kEffectContent, ~0u, ~0u, 0, ~0u, 0x7ff, 0, 0, ~0u, ~0u) \
  X(KvRetrieve,         kKv,      wire::kKvOpcodeRetrieve,              kOwn,     0, ~0u, ~0u, 0, ~0u, 0x1ff, 0, 0, ~0u, ~0u) \
  X(KvList,             kKv,      wire::kKvOpcodeList,                  kOwn,     0, ~0u, ~0u, 0, ~0u, 0xff, 0, 0, ~0u, ~0u) \
  X(KvDelete,           kKv,      wire::kKvOpcodeDelete,                kOwn,     kEffectContent, ~0u, ~0u, 0, 0, 0xff, 0, 0, ~0u, ~0u) \
  X(KvExist,            kKv,      wire::kKvOpcodeExist,                 kOwn,     0, ~0u, ~0u, 0, 0, 0xff, 0, 0, ~0u, ~0u) \
  X(Execute,            kCompute, wire::kOpcodeExecute,                 kOwn,     kEffectContent, ~0u, 0xff, ~0u, ~0u, 0, 0, 0, 0, 0) \
  X(ScanOpen,           kCompute, wire::kOpcodeScanOpen,                kOwn,     0, 0, 0, 0, 0, 0, 0, 0, 0, 0) \
  X(ScanResult,         kCompute, wire::kOpcodeScanResult,              kOwn,     0, 0, 0, 0, ~0u, 0, 0, 0, 0, 0) \
  X(ScanClaim,          kCompute, wire::kOpcodeScanClaim,               kOwn,     0, 0, 0, 0, ~0u, ~0u, 0, 0, 0, 0) \
  X(ScanReturn,         kCompute, wire::kOpcodeScanReturn,              kOwn,     0, 0, 0, 0, ~0u, ~0u, 0, 0, 0, 0) \
  X(ScanDone,           kCompute, wire::kOpcodeScanDone,                kOwn,     0, 0, 0, 0, ~0u, ~0u, 0, 0, 0, 0) \
  X(ScanClose,          kCompute, wire::kOpcodeScanClose,               kOwn,     0, 0, 0, 0, ~0u, 0, 0, 0, 0, 0) \
  X(ScanCheckpoint,     kCompute, wire::kOpcodeScanCheckpoint,           kOwn,     0, 0, 0, 0, ~0u, ~0u, 0, 0, 0, 0) \
  X(ScanRestore,        kCompute, wire::kOpcodeScanRestore,              kOwn,     0, 0, 0, 0, ~0u, ~0u, ~0u, ~0u, 0, 0) \
  X(DatasetLayout,      kCompute, wire::kOpcodeDatasetLayout,           kOwn,     0, 0, 0, 0, ~0u, ~0u, 0, 0, 0, 0)
// clang-format on

enum class Command : uint8_t {
  kInvalid,
#define X(name, set, opc, rule, effects, ...) k##name,
  MILLRACE_COMMANDS(X)
#undef X
};

struct CommandEntry {
  Command command;
  const char* name;
  CommandSet set;
  uint8_t opc;
  NsidRule rule;
  uint32_t effects;
  std::array<uint32_t, 9> defined;
};

inline constexpr CommandEntry kCommands[] = {
    {Command::kInvalid, "invalid", CommandSet::kAdmin, 0, NsidRule::kNone, 0, {}},
#define X(name, set, opc, rule, effects, ...) {Command::k##name, #name, CommandSet::set, opc, NsidRule::rule, kEffectSupported | (effects), {__VA_ARGS__}},
    MILLRACE_COMMANDS(X)
#undef X
};

/** Index in kCommands by set and opcode; 0: no such command. */
inline constexpr auto kCommandIndex = [] {
  std::array<std::array<uint8_t, 256>, kCommandSets> index{};
  for (size_t i = 1; i < std::size(kCommands); i++) index[static_cast<size_t>(kCommands[i].set)][kCommands[i].opc] = static_cast<uint8_t>(i);
  return index;
}();

inline constexpr size_t kCommandCount = std::size(kCommands);
inline constexpr const char* command_name(Command c) { return kCommands[static_cast<size_t>(c)].name; }

/** The command set of a namespace; kAdmin: there is no such namespace. */
inline constexpr CommandSet set_of_namespace(uint32_t nsid) {
  switch (nsid) {
    case wire::kNsidNvm:
    case wire::kNsidRaw: return CommandSet::kNvm;
    case wire::kNsidKv: return CommandSet::kKv;
    case wire::kNsidSlm:
    case wire::kNsidPmem: return CommandSet::kSlm;
    case wire::kNsidCompute: return CommandSet::kCompute;
    default: return CommandSet::kAdmin;
  }
}

/** Which command an entry is; status: why it is none. */
inline const CommandEntry& command_of(uint32_t queue_id, const wire::Sqe& sqe, uint32_t& status) {
  CommandSet set = CommandSet::kAdmin;
  status = wire::kStatusInvalidOpcode;
  if (queue_id != 0) {
    set = set_of_namespace(sqe.nsid);
    if (set == CommandSet::kAdmin && sqe.nsid == wire::kNsidAll && sqe.opc == wire::kOpcodeFlush) set = CommandSet::kNvm;
    if (set == CommandSet::kAdmin) {
      status = wire::kStatusInvalidNamespace;
      return kCommands[0];
    }
  }
  const uint8_t index = kCommandIndex[static_cast<size_t>(set)][sqe.opc];
  if (index != 0) status = wire::kStatusSuccess;
  return kCommands[index];
}

/** What every command is held to: no fused operation, no metadata, nothing in bits without meaning, an NSID that fits. */
inline uint32_t check_entry(const CommandEntry& entry, const wire::Sqe& sqe) {
  const auto& d = entry.defined;
  const uint32_t stray = (sqe.cdw2 & ~d[0]) | (sqe.cdw3 & ~d[1]) | (static_cast<uint32_t>(sqe.mptr) & ~d[2]) | static_cast<uint32_t>(sqe.mptr >> 32) | (sqe.cdw10 & ~d[3]) | (sqe.cdw11 & ~d[4]) |
                         (sqe.cdw12 & ~d[5]) | (sqe.cdw13 & ~d[6]) | (sqe.cdw14 & ~d[7]) | (sqe.cdw15 & ~d[8]) | sqe.flags;
  if (stray != 0) return wire::kStatusInvalidField;
  if (entry.rule == NsidRule::kNone && sqe.nsid != 0) return wire::kStatusInvalidNamespace;
  if (entry.rule == NsidRule::kCompute && sqe.nsid != wire::kNsidCompute) return wire::kStatusInvalidNamespace;
  return wire::kStatusSuccess;
}

}  // namespace millrace
