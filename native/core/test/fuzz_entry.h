// What fuzzing hosts send: noise, and entries of known commands with a few words off; and the statuses they may get.
#pragma once
#include <algorithm>
#include <cstdio>

#include "core/device/command_table.h"
#include "test.h"

namespace millrace::test {

inline constexpr uint32_t kKnownStatuses[] = {
    wire::kStatusSuccess, wire::kStatusInvalidOpcode, wire::kStatusInvalidField, wire::kStatusInvalidNamespace, wire::kStatusCommandSequenceError, wire::kStatusDataSglLengthInvalid,
    wire::kStatusKeepAliveTimeoutInvalid, wire::kStatusNamespaceWriteProtected, wire::kStatusLbaOutOfRange, wire::kStatusCapacityExceeded, wire::kStatusCompletionQueueInvalid,
    wire::kStatusInvalidQueueIdentifier, wire::kStatusInvalidQueueSize, wire::kStatusAsyncEventLimitExceeded, wire::kStatusInvalidLogPage, wire::kStatusInvalidQueueDeletion,
    wire::kStatusFeatureNotSaveable, wire::kStatusFeatureNotChangeable, wire::kStatusFeatureNotNamespaceSpecific, wire::kStatusIoCommandSetCombinationRejected,
    wire::kStatusInvalidIoCommandSet, wire::kStatusInvalidMemoryNamespace, wire::kStatusInvalidMemoryRangeSet, wire::kStatusInvalidMemoryRangeSetIdentifier, wire::kStatusInvalidProgramData,
    wire::kStatusInvalidProgramIndex, wire::kStatusInvalidProgramType, wire::kStatusMaximumMemoryRangesExceeded, wire::kStatusMaximumMemoryRangeSetsExceeded, wire::kStatusNoProgram,
    wire::kStatusOverlappingMemoryRanges, wire::kStatusProgramNotActivated, wire::kStatusProgramInUse, wire::kStatusProgramTooBig, wire::kStatusCommandSizeLimitExceeded,
    wire::kStatusNoSuchScan, wire::kStatusNoSuchDataset, wire::kStatusCompareFailure, wire::kStatusInsufficientResources, wire::kStatusAbortRequested,
    wire::kStatusInvalidValueSize, wire::kStatusInvalidKeySize, wire::kStatusKeyNotFound, wire::kStatusKeyExists, wire::kStatusAccessDenied,
};

inline bool known(uint32_t status) { return std::find(std::begin(kKnownStatuses), std::end(kKnownStatuses), status) != std::end(kKnownStatuses); }

/** The failing entry as JSON, and the command that runs into it again. */
[[noreturn]] inline void report(const char* what, uint32_t step, uint32_t queue, const wire::Sqe& sqe, uint32_t status) {
  std::fprintf(stderr, "{\"what\":\"%s\",\"seed\":%llu,\"step\":%u,\"queue\":%u,\"status\":%u,\"sqe\":\"", what, static_cast<unsigned long long>(seed()), step, queue, status);
  const auto* bytes = reinterpret_cast<const unsigned char*>(&sqe);
  for (size_t i = 0; i < sizeof sqe; i++) std::fprintf(stderr, "%02x", bytes[i]);
  std::fprintf(stderr, "\"}\nreplay: SEED=%llu make -C native/core/test TEST=_fuzz\n", static_cast<unsigned long long>(seed()));
  std::abort();
}

inline uint32_t edge(Random& random) {
  static constexpr uint32_t kEdges[] = {0, 1, 2, 3, 4, 0xf, 0x10, 0xff, 0x1ff, 0x1000, 0x3fff, 0x4000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
  return random.below(3) == 0 ? static_cast<uint32_t>(random.next()) : kEdges[random.below(std::size(kEdges))];
}

/** An entry of a known command with a few words off, or noise. */
inline wire::Sqe entry(Random& random, uint32_t& queue, uint64_t data_bytes) {
  wire::Sqe sqe{};
  const CommandEntry& c = kCommands[1 + random.below(std::size(kCommands) - 1)];
  queue = c.set == CommandSet::kAdmin ? 0 : 1;
  sqe.opc = random.below(20) == 0 ? static_cast<uint8_t>(random.next()) : c.opc;
  static constexpr uint32_t kOwn[] = {wire::kNsidNvm, wire::kNsidKv, 0, wire::kNsidSlm, wire::kNsidCompute, 0};
  sqe.nsid = kOwn[static_cast<size_t>(c.set)];
  if (c.set == CommandSet::kNvm && random.below(2)) sqe.nsid = wire::kNsidRaw;
  if (c.rule == NsidRule::kCompute) sqe.nsid = wire::kNsidCompute;
  if (random.below(16) == 0) sqe.nsid = edge(random);
  uint32_t* words[] = {&sqe.cdw2, &sqe.cdw3, nullptr, &sqe.cdw10, &sqe.cdw11, &sqe.cdw12, &sqe.cdw13, &sqe.cdw14, &sqe.cdw15};
  for (size_t i = 0; i < std::size(words); i++)
    if (words[i] && random.below(2)) *words[i] = edge(random) & (random.below(12) ? c.defined[i] : ~0u);
  if (random.below(30) == 0) sqe.flags = static_cast<uint8_t>(random.next());
  if (random.below(30) == 0) sqe.mptr = random.next();
  sqe.prp1 = random.below(8) ? random.below(static_cast<uint32_t>(data_bytes / 2)) & ~4095ull : random.next();
  sqe.prp2 = random.below(8) ? random.below(1 << 16) : random.next();
  // A keep alive timer would end the association: right, but not what is looked for here. So would a ring that commands write their data over (queue_fuzz_test.cc).
  if (queue == 0 && sqe.opc == wire::kOpcodeAdminCreateIoSq) sqe.cdw11 &= ~1u;
  if (queue == 0 && (sqe.opc == wire::kOpcodeAdminSetFeatures && (sqe.cdw10 & 0xff) == wire::kFidKeepAliveTimer)) sqe.cdw11 = 0;
  if (queue == 0 && (sqe.opc == wire::kOpcodeAdminDeleteIoSq && (sqe.cdw10 & 0xffff) == 1)) sqe.cdw10 = 2;
  return sqe;
}

}  // namespace millrace::test
