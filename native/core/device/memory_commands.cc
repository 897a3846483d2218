// SLM namespace: Memory Copy from namespace 1, Memory Read. Hosts reach the scratch range only; the windows and the
// resident region belong to scans.
#include <cstring>

#include "core/device/commands.h"

namespace millrace {

namespace {

constexpr uint32_t kFormatLba = 2;
/** NVM command set 1.0, figure 29 (copy source range format 2h): SNSID, SLBA, 0-based NLB. */
struct SourceRange {
  uint32_t nsid;
  uint32_t reserved0;
  uint64_t slba;
  uint16_t blocks_less_one;
  uint8_t reserved1[14];
};
static_assert(sizeof(SourceRange) == 32);

}  // namespace

CommandResult MemoryCommands::copy(const Association& association, const wire::Sqe& sqe) const {
  // What lies in SLM is what kernels compute on: only the daemon itself puts something there by hand.
  if (association.kind != QueueKind::kDaemon) return {wire::kStatusNamespaceWriteProtected};
  const bool one_lba_range = (sqe.cdw12 & 0xffu) == 0 && (sqe.cdw12 >> 8 & 0xfu) == kFormatLba;
  const auto data = association.data_of(sqe);
  SourceRange range;
  if (!one_lba_range || !data || data->size() < sizeof range) return {wire::kStatusInvalidField};
  std::memcpy(&range, data->data(), sizeof range);
  const uint64_t blocks = uint64_t{range.blocks_less_one} + 1;
  const uint64_t length = uint64_t{sqe.cdw3} << 32 | sqe.cdw2;
  const uint64_t to = uint64_t{sqe.cdw11} << 32 | sqe.cdw10;
  if (range.nsid != wire::kNsidNvm || length != blocks * kBlockBytes || !slm_.in_scratch(to, length)) return {wire::kStatusInvalidField};
  if (!backing_.contains(range.slba, blocks)) return {wire::kStatusLbaOutOfRange};
  const uint32_t status = backing_.read(range.slba, blocks, slm_.at(to));
  if (status == wire::kStatusSuccess) Counters::add(counters_.media_read_bytes, length);
  return {status};
}

CommandResult MemoryCommands::read(const Association& association, const wire::Sqe& sqe) const {
  const uint64_t from = uint64_t{sqe.cdw11} << 32 | sqe.cdw10;
  const uint64_t length = sqe.cdw12;
  const auto data = association.data_of(sqe);
  if (!data || data->size() < length || !slm_.in_scratch(from, length)) return {wire::kStatusInvalidField};
  std::memcpy(data->data(), slm_.at(from), length);
  return {wire::kStatusSuccess, static_cast<uint32_t>(length), 0, length};
}

}  // namespace millrace
