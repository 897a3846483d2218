// Every bound of the device in one place, with the relations between them.
#pragma once
#include <cstddef>
#include <cstdint>

namespace millrace {

inline constexpr uint64_t kBlockBytes = 4096;
inline constexpr uint64_t kPageBytes = 4096;

inline constexpr uint32_t kAdminEntries = 32;
inline constexpr uint32_t kIoEntriesMin = 16;
inline constexpr uint32_t kIoEntriesMax = 4096;
inline constexpr uint64_t kDataBytesMin = 64 * 1024;
inline constexpr uint64_t kDataBytesMax = 1ull << 30;
inline constexpr uint32_t kAssociationsMax = 64;
/** Queue pairs of one controller beside the admin queue. */
inline constexpr uint32_t kIoQueuesMax = 64;
inline constexpr uint32_t kAsyncEventsMax = 8;
inline constexpr uint32_t kErrorEntriesMax = 64;
/** Keep alive timeouts are rounded up to this (KAS), and at most kKeepAliveMsMax. */
inline constexpr uint32_t kKeepAliveUnitMs = 100;
inline constexpr uint32_t kKeepAliveMsMax = 3'600'000;
/** Data region one command may name. */
inline constexpr uint64_t kCommandDataBytesMax = 64ull << 20;
/** One Read or Write (MDTS): hosts split larger transfers, so that a neighbour's 4 KiB waits for 2 MiB at most (0.1 ms). */
inline constexpr uint64_t kTransferBytesMax = 2ull << 20;
/** Write Zeroes and Copy (WZSL, MSRC): bounds of one command. */
inline constexpr uint64_t kWriteZeroesBytesMax = 32ull << 20;
inline constexpr uint32_t kCopyRangesMax = 32;
/** What one association may have executed before the next association of the same I/O thread has its turn. */
inline constexpr uint32_t kTurnCommandsMax = 16;
inline constexpr uint64_t kTurnBytesMax = 1ull << 20;

/** NVMe/TCP. Connections of all hosts, those that have not said Connect (or proved who they are) yet, hosts; I/O queues of one host. */
inline constexpr uint32_t kTcpConnectionsMax = 1024;
inline constexpr uint32_t kTcpLobbyMax = 128;
inline constexpr uint32_t kTcpHostsMax = 48;
inline constexpr uint32_t kTcpIoQueuesMax = 64;
inline constexpr uint32_t kTcpAdminEntriesMax = 128;
inline constexpr uint32_t kTcpIoEntriesMax = kIoEntriesMax;
/** Data a command may bring along in its capsule: IOCCSZ, and the 8 KiB the specification gives admin queues. */
inline constexpr uint32_t kTcpInCapsuleBytes = 8192;
/** Data of one H2CData at most (MAXH2CDATA). */
inline constexpr uint32_t kTcpH2cDataBytesMax = 1u << 20;
/** What commands of one host hold at once; with more, further ones wait. */
inline constexpr uint64_t kTcpHostBytesMax = 64ull << 20;
/** Of that, each host has so much for itself: whatever others do, one transfer gets on. The rest is out of what all share. */
inline constexpr uint64_t kTcpHostOwnBytes = 2ull << 20;
inline constexpr uint64_t kTcpSharedBytesMax = 160ull << 20;
/** Unread answers of a connection, at which none of its commands is begun. */
inline constexpr uint64_t kTcpUnsentBytesMax = 8ull << 20;
/** How long a connection may take to introduce itself, and to go on within a PDU or with answers it does not read. */
inline constexpr uint32_t kTcpIntroductionMs = 10'000;
inline constexpr uint32_t kTcpStallMs = 30'000;
/** How long a connection that was told why it ends is listened to, so that it may read that. */
inline constexpr uint32_t kTcpFarewellMs = 2'000;

/** Bounds of what a profile may ask of the models. */
inline constexpr double kCoreFactorMax = 1000;
inline constexpr uint64_t kLinkLatencyNsMax = 10'000'000'000;

/** The KV namespace. */
inline constexpr uint32_t kKvKeyBytesMax = 16;
inline constexpr uint32_t kKvValueBytesMax = 2u << 20;
inline constexpr uint64_t kKvBytesMin = 1ull << 20;
inline constexpr uint64_t kKvBytesMax = 1ull << 46;
/** Changes that wait together are one transaction, up to here: a command behind them waits for so much at most. */
inline constexpr uint32_t kKvBatchCommandsMax = 256;
inline constexpr uint64_t kKvBatchBytesMax = 4ull << 20;
/** A List gives way to others after so many keys. */
inline constexpr uint32_t kKvListTurnKeys = 1024;
/** Log pages after which a checkpoint begins, and after which changes wait for it. */
inline constexpr int kKvLogPagesSoft = 1024;
inline constexpr int kKvLogPagesHard = 8192;

inline constexpr uint32_t kProgramsMax = 64;
inline constexpr uint32_t kProgramBytesMax = 4u << 20;

inline constexpr uint32_t kProgramsActivatedMax = 32;
/** SLM as one host sees it, and what all hosts together may hold of it. */
inline constexpr uint64_t kHostSlmBytes = 64ull << 20;
inline constexpr uint64_t kHostSlmTotalBytes = 256ull << 20;
inline constexpr uint32_t kMemoryRangeSetsMax = 64;
inline constexpr uint32_t kMemoryRangesMax = 32;

inline constexpr uint32_t kDatasetsMax = 4096;
inline constexpr uint32_t kColumnsMax = 4096;
inline constexpr uint64_t kChunkRecordsMax = 1ull << 22;

inline constexpr uint32_t kScansMax = 256;
/** Execute Programs of one host that are under way; 1024 of all hosts. */
inline constexpr uint32_t kExecutionsMax = 16;
inline constexpr uint32_t kScanColumnsMax = 256;
/** Modules of users that one generated kernel is made of. */
inline constexpr uint32_t kUserModulesMax = 64;
inline constexpr uint32_t kMorselsMax = 1u << 20;
inline constexpr uint32_t kWaitingResultsMax = 64;
/** With a row limit slots run at most so many morsels past the finished prefix: what lies behind may never be needed. */
inline constexpr uint32_t kLimitAheadMax = 8;
/** Frames of a scan nobody fetched yet; at this mark slots take no further morsel of the scan. */
inline constexpr uint64_t kStagedBytesMax = 64ull << 20;
/** The same over all scans; past it only scans whose host keeps up (nothing staged) go on. */
inline constexpr uint64_t kStagedTotalBytesMax = 160ull << 20;
/** All frames of one morsel together; more is GuestFault OutputLimit. */
inline constexpr uint64_t kMorselOutputBytesMax = 1ull << 30;

/** State of one stream while no slot has it, and of all: the daemon's memory. */
inline constexpr uint64_t kCheckpointBytesMax = 64ull << 20;
inline constexpr uint64_t kCheckpointTotalBytesMax = 256ull << 20;

inline constexpr uint32_t kSlotsMax = 64;
/** Execute commands queued per slot, so that staging of the next overlaps the kernel of the first. */
inline constexpr uint32_t kSlotDepth = 3;
inline constexpr uint32_t kSlotRingEntries = 16;
/** Slot-local program numbers are 0..kSlotPrograms-1; the engine chooses the number a Load replaces. */
inline constexpr uint32_t kSlotPrograms = 8;
/** Output area of one Execute; a morsel with more output fills it several times. */
inline constexpr uint64_t kSlotOutBytes = 8ull << 20;
inline constexpr uint64_t kSlotOutBytesMin = 64ull << 10;
inline constexpr uint64_t kSlotDescriptorBytes = 64 * 1024;
/** Data region of a slot: program area, then a descriptor area and an output area per queued Execute. */
inline constexpr uint64_t kSlotDataBytes = kProgramBytesMax + kSlotDepth * (kSlotDescriptorBytes + kSlotOutBytes);
/** How often a morsel runs again after the slot under it was lost, and a stream's state is moved again. */
inline constexpr uint32_t kLostRunsMax = 1;
/** Slots one kernel may crash before it is refused: one morsel and its second run are two. */
inline constexpr uint32_t kCrashesMax = 3;
/** Kernels whose crashes are remembered. */
inline constexpr uint32_t kCrashRecordsMax = 1024;
inline constexpr uint32_t kDeadlineMsMax = 600'000;
/** CPU time of one slot per wall time, in percent of a core. */
inline constexpr uint32_t kCpuPercentMin = 1;
inline constexpr uint32_t kCpuPercentMax = 100;
/** Tenants beside the device's own that have device memory at a time; more wait until one of them has nothing to do. */
inline constexpr uint32_t kTenantsResidentMax = 16;
/** Tenants the device was told of. */
inline constexpr uint32_t kTenantsMax = 10'000;
inline constexpr uint32_t kStackBytesMin = 64u << 10;
inline constexpr uint32_t kStackBytesMax = 4u << 20;
/** Warm processes that serve nobody yet, one per tenant at most. */
inline constexpr uint32_t kSparesMax = 2;
/** For compiling one module, where its tenant has no cap of its own. */
inline constexpr uint32_t kCompileMsDefault = 10'000;
/** A slot whose output nobody takes for so long is taken away from the scan (GuestFault OutputLimit). */
inline constexpr uint32_t kStallMsMax = 30'000;

inline constexpr uint64_t kSlmBytesMin = 16ull << 20;
/** The SLM is mapped into a 32-bit linear memory beside the kernel's own pages. */
inline constexpr uint64_t kSlmBytesMax = 3ull << 30;
/** Where media is memory: pieces of it a slot process maps, in each of two memories; the kernel allows 65530 in all. */
inline constexpr uint32_t kViewExtentsMax = 16384;
/** Where media is mapped a kernel's window ends below this: it is one allocation of the kernel's, and AssemblyScript's give no more. */
inline constexpr uint64_t kViewEndMax = 1ull << 30;

static_assert(kKvValueBytesMax <= kTransferBytesMax && kKvValueBytesMax <= kKvBatchBytesMax);
static_assert(kKvLogPagesSoft < kKvLogPagesHard);
static_assert(kTcpHostsMax < kAssociationsMax);  // local clients find a place whatever the network does
static_assert(kTcpInCapsuleBytes <= kTransferBytesMax && kTransferBytesMax <= kTcpHostOwnBytes && kTcpHostOwnBytes < kTcpHostBytesMax);
static_assert(kTcpSharedBytesMax + (kTcpHostsMax + 1) * kTcpHostOwnBytes <= 260ull << 20);  // data of all NVMe/TCP commands together, strangers' too
static_assert(kTcpH2cDataBytesMax % 4 == 0 && kTcpH2cDataBytesMax >= 4096);
static_assert(kMemoryRangesMax <= kScanColumnsMax);
static_assert(kSlotDepth + 1 <= kSlotRingEntries);
static_assert(kViewExtentsMax * 16 <= kProgramBytesMax);  // the list is handed over there
static_assert(64 + 64 * kScanColumnsMax <= kSlotDescriptorBytes);
static_assert(kSlotOutBytes <= kStagedBytesMax);
static_assert(kCheckpointBytesMax <= kCheckpointTotalBytesMax);
static_assert(kStagedBytesMax <= kStagedTotalBytesMax);

}  // namespace millrace
