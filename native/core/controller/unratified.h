// Numbers of the computational programs and SLM command sets that no ratified header was at hand for. Confidence as in
// NVMe's own terms they have none here: 2 = two independent implementations agree, 1 = one (CEMU), 0 = inferred.
// Changing one of them is a change of this file, of the names in native/wire/*.def, and of docs/nvme.md.
#pragma once
#include <cstdint>

#include "wire/wire.gen.h"

namespace millrace {

struct UnratifiedNumber {
  const char* what;
  uint32_t value;
  uint8_t confidence;
};

inline constexpr UnratifiedNumber kUnratified[] = {
    {"Load Program: fields of cdw10 to cdw15", wire::kOpcodeAdminLoadProgram, 2},
    {"Load Program: bit positions in cdw10", wire::kOpcodeAdminLoadProgram, 1},
    {"Program Activation Management: cdw10", wire::kOpcodeAdminActivateProgram, 2},
    {"Memory Range Set Management: cdw10, cdw11, range of 32 bytes", wire::kOpcodeAdminMemoryRangeSet, 2},
    {"Execute Program opcode and dwords", wire::kOpcodeExecute, 1},
    {"Memory Fill opcode and dwords", wire::kOpcodeMemoryFill, 1},
    {"Memory Copy opcode and dwords, format 3h", wire::kOpcodeMemoryCopy, 1},
    {"Memory Copy formats 2h and 4h", wire::kOpcodeMemoryCopy, 2},
    {"Memory Copy format 3h: SLBA in cdw10 and cdw11, NSID of the blocks in cdw13", wire::kOpcodeMemoryCopy, 0},
    {"Memory Read opcode and dwords", wire::kOpcodeMemoryRead, 1},
    {"Memory Write opcode and dwords", wire::kOpcodeMemoryWrite, 1},
    {"Scan Checkpoint opcode and dwords: vendor specific", wire::kOpcodeScanCheckpoint, 0},
    {"Scan Restore opcode and dwords: vendor specific", wire::kOpcodeScanRestore, 0},
    {"status Insufficient Program Resources", wire::kStatusInsufficientProgramResources, 1},
    {"status Program Too Big, the last of 18 in a row", wire::kStatusProgramTooBig, 1},
    {"log page Program List", wire::kLidProgramList, 0},
    {"log page Downloadable Program Types", wire::kLidDownloadableProgramTypes, 0},
    {"log page Memory Range Set List", wire::kLidMemoryRangeSets, 0},
    {"Identify for CSI 3 and 4: layout beyond the common fields", wire::kCnsCsNamespace, 0},
};

}  // namespace millrace
