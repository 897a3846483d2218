// The Do Not Retry bit of a completion (NVMe base specification 2.0, 3.3.3.2.1): set where the same command would fail again,
// whoever sends it; left out wherever time, another host's doing or a free resource may let it succeed.
#pragma once
#include <cstdint>

#include "wire/wire.gen.h"

namespace millrace {

/** Of the 15 bits of status behind the phase. */
inline constexpr uint32_t kDoNotRetry = 1u << 14;

inline constexpr uint32_t with_retry_bit(uint32_t status) {
  switch (status) {
    case wire::kStatusInvalidOpcode:
    case wire::kStatusInvalidField:
    case wire::kStatusInvalidNamespace:
    case wire::kStatusDataSglLengthInvalid:
    case wire::kStatusKeepAliveTimeoutInvalid:
    case wire::kStatusLbaOutOfRange:
    case wire::kStatusInvalidValueSize:
    case wire::kStatusInvalidKeySize:
    case wire::kStatusNamespaceWriteProtected:
    case wire::kStatusAccessDenied:
    case wire::kStatusInvalidQueueSize:
    case wire::kStatusInvalidLogPage:
    case wire::kStatusFeatureNotSaveable:
    case wire::kStatusFeatureNotChangeable:
    case wire::kStatusFeatureNotNamespaceSpecific:
    case wire::kStatusIoCommandSetNotSupported:
    case wire::kStatusIoCommandSetNotEnabled:
    case wire::kStatusIoCommandSetCombinationRejected:
    case wire::kStatusInvalidIoCommandSet:
    case wire::kStatusInvalidMemoryNamespace:
    case wire::kStatusInvalidMemoryRangeSet:
    case wire::kStatusCommandSizeLimitExceeded:  // and Invalid Memory Range Set Identifier
    case wire::kStatusInvalidProgramData:
    case wire::kStatusInvalidProgramIndex:
    case wire::kStatusInvalidProgramType:
    case wire::kStatusMaximumMemoryRangesExceeded:
    case wire::kStatusOverlappingMemoryRanges:
    case wire::kStatusProgramIndexNotDownloadable:
    case wire::kStatusProgramTooBig:
    case wire::kStatusNoSuchDataset:
    case wire::kStatusKernelQuarantined:
    case wire::kStatusKernelNotAllowed: return status | kDoNotRetry;
    default: return status;
  }
}

}  // namespace millrace
