// Which command an entry is: the same opcode means different things per queue and namespace.
#pragma once
#include <cstddef>
#include <cstdint>

#include "wire/wire.gen.h"

namespace millrace {

enum class Command : uint8_t {
  kInvalid,
  kIdentify,
  kLoadProgram,
  kActivateProgram,
  kRead,
  kWrite,
  kFlush,
  kMemoryCopy,
  kMemoryRead,
  kScanOpen,
  kScanResult,
  kScanClaim,
  kScanReturn,
  kScanDone,
  kScanClose,
  kDatasetLayout,
  kExecute,
};
inline constexpr size_t kCommandCount = static_cast<size_t>(Command::kExecute) + 1;

inline const char* command_name(Command c) {
  static constexpr const char* kNames[] = {"invalid",    "Identify",   "LoadProgram", "ActivateProgram", "Read",     "Write",     "Flush",         "MemoryCopy", "MemoryRead",
                                           "ScanOpen",   "ScanResult", "ScanClaim",   "ScanReturn",      "ScanDone", "ScanClose", "DatasetLayout", "Execute"};
  static_assert(sizeof kNames / sizeof kNames[0] == kCommandCount);
  return kNames[static_cast<size_t>(c)];
}

inline Command command_of(uint32_t queue_id, const wire::Sqe& sqe) {
  if (queue_id == 0) {
    switch (sqe.opc) {
      case wire::kOpcodeAdminIdentify: return Command::kIdentify;
      case wire::kOpcodeAdminLoadProgram: return Command::kLoadProgram;
      case wire::kOpcodeAdminActivateProgram: return Command::kActivateProgram;
      default: return Command::kInvalid;
    }
  }
  switch (sqe.nsid) {
    case wire::kNsidNvm:
      switch (sqe.opc) {
        case wire::kOpcodeFlush: return Command::kFlush;
        case wire::kOpcodeWrite: return Command::kWrite;
        case wire::kOpcodeRead: return Command::kRead;
        default: return Command::kInvalid;
      }
    case wire::kNsidSlm:
      switch (sqe.opc) {
        case wire::kOpcodeMemoryCopy: return Command::kMemoryCopy;
        case wire::kOpcodeMemoryRead: return Command::kMemoryRead;
        default: return Command::kInvalid;
      }
    case wire::kNsidCompute:
      switch (sqe.opc) {
        case wire::kOpcodeScanOpen: return Command::kScanOpen;
        case wire::kOpcodeScanResult: return Command::kScanResult;
        case wire::kOpcodeScanClaim: return Command::kScanClaim;
        case wire::kOpcodeScanReturn: return Command::kScanReturn;
        case wire::kOpcodeScanDone: return Command::kScanDone;
        case wire::kOpcodeScanClose: return Command::kScanClose;
        case wire::kOpcodeDatasetLayout: return Command::kDatasetLayout;
        default: return Command::kInvalid;
      }
    default: return Command::kInvalid;
  }
}

}  // namespace millrace
