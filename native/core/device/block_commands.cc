#include "core/device/commands.h"

namespace millrace {

namespace {

struct Blocks {
  uint64_t slba;
  uint64_t count;
};

/** NVM command set 1.0, 3.2: SLBA in cdw10-11, 0-based NLB in cdw12[15:0]. */
Blocks blocks_of(const wire::Sqe& sqe) { return {uint64_t{sqe.cdw11} << 32 | sqe.cdw10, uint64_t{sqe.cdw12 & 0xffffu} + 1}; }
constexpr uint32_t kForceUnitAccess = 1u << 30;

}  // namespace

CommandResult BlockCommands::read(const Association& association, const wire::Sqe& sqe) const {
  const Blocks blocks = blocks_of(sqe);
  if (!backing_.contains(blocks.slba, blocks.count)) return {wire::kStatusLbaOutOfRange};
  const auto data = association.data_of(sqe);
  if (!data || blocks.count * kBlockBytes > kTransferBytesMax) return {wire::kStatusInvalidField};
  if (data->size() < blocks.count * kBlockBytes) return {wire::kStatusDataSglLengthInvalid};
  const uint32_t status = backing_.read(blocks.slba, blocks.count, data->data());
  if (status == wire::kStatusSuccess) {
    Counters::add(counters_.media_read_bytes, blocks.count * kBlockBytes);
    Counters::add(counters_.host_read_bytes, blocks.count * kBlockBytes);
    Counters::add(counters_.chunk_bytes, datasets_.chunk_blocks_in(blocks.slba, blocks.count) * kBlockBytes);
  }
  return {status, 0, 0, status == wire::kStatusSuccess ? blocks.count * kBlockBytes : 0};
}

CommandResult BlockCommands::write(const Association& association, const wire::Sqe& sqe) const {
  const Blocks blocks = blocks_of(sqe);
  if (!backing_.contains(blocks.slba, blocks.count)) return {wire::kStatusLbaOutOfRange};
  const auto data = association.data_of(sqe);
  if (!data || blocks.count * kBlockBytes > kTransferBytesMax) return {wire::kStatusInvalidField};
  if (data->size() < blocks.count * kBlockBytes) return {wire::kStatusDataSglLengthInvalid};
  const auto permit = association.write_permit(blocks.slba, blocks.count);
  if (!permit) return {wire::kStatusNamespaceWriteProtected};
  uint32_t status = backing_.write(blocks.slba, blocks.count, data->data());
  if (status == wire::kStatusSuccess) {
    Counters::add(counters_.media_written_bytes, blocks.count * kBlockBytes);
    Counters::add(counters_.host_written_bytes, blocks.count * kBlockBytes);
  }
  if (status == wire::kStatusSuccess && (sqe.cdw12 & kForceUnitAccess)) status = backing_.flush();
  return {status};
}

}  // namespace millrace
