#include "core/device/block_commands.h"

#include <cstring>

namespace millrace {

namespace {

constexpr uint32_t kForceUnitAccess = 1u << 30;
constexpr uint32_t kDeallocateZeroed = 1u << 25;  // DEAC of Write Zeroes
constexpr uint32_t kDeallocate = 1u << 2;         // AD of Dataset Management

/** NVM command set 1.0, figure 41. */
struct DeallocateRange {
  uint32_t attributes;
  uint32_t blocks;
  uint64_t slba;
};
static_assert(sizeof(DeallocateRange) == 16);

/** NVM command set 1.0, figures 29 and 31: copy source ranges, formats 0h (no SNSID) and 2h. */
struct CopyRange {
  uint32_t snsid;
  uint32_t reserved0;
  uint64_t slba;
  uint16_t blocks_less_one;
  uint8_t reserved1[14];
};
static_assert(sizeof(CopyRange) == 32);

/** Data of exactly `bytes`, or why there is none. */
uint32_t data_for(const Association& association, const wire::Sqe& sqe, uint64_t bytes, std::span<std::byte>& data) {
  const auto all = association.data_of(sqe);
  if (!all) return wire::kStatusInvalidField;
  if (all->size() < bytes) return wire::kStatusDataSglLengthInvalid;
  data = all->first(bytes);
  return wire::kStatusSuccess;
}

}  // namespace

CommandResult BlockCommands::execute(Command command, const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  CommandResult result;
  switch (command) {
    case Command::kRead: result = read(association, queue_id, sqe); break;
    case Command::kWrite: result = write(association, queue_id, sqe); break;
    case Command::kCompare: result = compare(*association, sqe); break;
    case Command::kVerify: result = verify(*association, sqe); break;
    case Command::kWriteZeroes: result = write_zeroes(association, queue_id, sqe); break;
    case Command::kDatasetManagement: result = deallocate(association, queue_id, sqe); break;
    case Command::kCopy: result = copy(association, queue_id, sqe); break;
    default: flushes_.flush(association, queue_id, sqe); result.later = true;
  }
  if (result.status == wire::kStatusUnrecoveredRead || result.status == wire::kStatusWriteFault) Counters::add(counters_.media_errors, 1);
  return result;
}

std::shared_ptr<WritePermit> BlockCommands::permit(const Association& association, Blocks blocks) const {
  if (hosts_write_) return std::make_shared<WritePermit>();
  auto permit = association.write_permit(blocks.slba, blocks.count);
  return permit ? std::make_shared<WritePermit>(std::move(*permit)) : nullptr;
}

CommandResult BlockCommands::written(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  if ((sqe.cdw12 & kForceUnitAccess) == 0 && association->controller.features.write_cache()) return {};
  flushes_.flush(association, queue_id, sqe);
  return {.later = true};
}

CommandResult BlockCommands::read(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  const Blocks blocks = blocks_of(sqe);
  if (!backing_.contains(blocks.slba, blocks.count)) return {wire::kStatusLbaOutOfRange};
  if (blocks.bytes() > kTransferBytesMax) return {wire::kStatusInvalidField};
  if (!may_read(datasets_, *association, sqe.nsid, blocks.slba, blocks.count)) return {wire::kStatusAccessDenied};
  std::span<std::byte> data;
  if (const uint32_t status = data_for(*association, sqe, blocks.bytes(), data); status != wire::kStatusSuccess) return {status};
  const auto from_media = [this, blocks, data, nsid = sqe.nsid]() -> CommandResult {
    const uint32_t status = backing_.read(blocks.slba, blocks.count, data.data());
    if (status != wire::kStatusSuccess) return {status};
    Counters::add(counters_.media_read_bytes, blocks.bytes());
    Counters::add(counters_.host_read_bytes, blocks.bytes());
    if (nsid == wire::kNsidNvm) Counters::add(counters_.chunk_bytes, datasets_.chunk_blocks_in(blocks.slba, blocks.count) * kBlockBytes);
    return {wire::kStatusSuccess, 0, 0, blocks.bytes()};
  };
  if ((sqe.cdw12 & kForceUnitAccess) == 0) return from_media();
  // FUA on a read: what it gives is on the media, so what is still cached goes there first.
  flushes_.flush([this, from_media, association, queue_id, sqe](uint32_t status) {
    CommandResult result{status};
    if (status == wire::kStatusSuccess) {
      result = from_media();
      flushed(result.status);
    }
    association->finish(queue_id, sqe, result);
  });
  return {.later = true};
}

CommandResult BlockCommands::write(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  const Blocks blocks = blocks_of(sqe);
  if (!backing_.contains(blocks.slba, blocks.count)) return {wire::kStatusLbaOutOfRange};
  if (blocks.bytes() > kTransferBytesMax) return {wire::kStatusInvalidField};
  std::span<std::byte> data;
  if (const uint32_t status = data_for(*association, sqe, blocks.bytes(), data); status != wire::kStatusSuccess) return {status};
  const auto held = permit(*association, blocks);
  if (!held) return {wire::kStatusNamespaceWriteProtected};
  if (const uint32_t status = backing_.write(blocks.slba, blocks.count, data.data()); status != wire::kStatusSuccess) return {status};
  Counters::add(counters_.media_written_bytes, blocks.bytes());
  Counters::add(counters_.host_written_bytes, blocks.bytes());
  return written(association, queue_id, sqe);
}

CommandResult BlockCommands::compare(const Association& association, const wire::Sqe& sqe) const {
  const Blocks blocks = blocks_of(sqe);
  if (!backing_.contains(blocks.slba, blocks.count)) return {wire::kStatusLbaOutOfRange};
  if (blocks.bytes() > kTransferBytesMax) return {wire::kStatusInvalidField};
  if (!may_read(datasets_, association, sqe.nsid, blocks.slba, blocks.count)) return {wire::kStatusAccessDenied};
  std::span<std::byte> data;
  if (const uint32_t status = data_for(association, sqe, blocks.bytes(), data); status != wire::kStatusSuccess) return {status};
  std::vector<std::byte> media(blocks.bytes());
  if (const uint32_t status = backing_.read(blocks.slba, blocks.count, media.data()); status != wire::kStatusSuccess) return {status};
  Counters::add(counters_.media_read_bytes, blocks.bytes());
  return {std::memcmp(media.data(), data.data(), media.size()) == 0 ? wire::kStatusSuccess : wire::kStatusCompareFailure};
}

CommandResult BlockCommands::verify(const Association& association, const wire::Sqe& sqe) const {
  const Blocks blocks = blocks_of(sqe);
  if (!backing_.contains(blocks.slba, blocks.count)) return {wire::kStatusLbaOutOfRange};
  if (blocks.bytes() > kTransferBytesMax) return {wire::kStatusInvalidField};  // VSL
  if (!may_read(datasets_, association, sqe.nsid, blocks.slba, blocks.count)) return {wire::kStatusAccessDenied};
  std::vector<std::byte> media(blocks.bytes());
  const uint32_t status = backing_.read(blocks.slba, blocks.count, media.data());
  if (status == wire::kStatusSuccess) Counters::add(counters_.media_read_bytes, blocks.bytes());
  return {status};
}

CommandResult BlockCommands::write_zeroes(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  const Blocks blocks = blocks_of(sqe);
  if (!backing_.contains(blocks.slba, blocks.count)) return {wire::kStatusLbaOutOfRange};
  if (blocks.bytes() > kWriteZeroesBytesMax) return {wire::kStatusInvalidField};  // WZSL
  const auto held = permit(*association, blocks);
  if (!held) return {wire::kStatusNamespaceWriteProtected};
  flushes_.run_later([this, association, queue_id, sqe, blocks, held] {
    const uint32_t status = (sqe.cdw12 & kDeallocateZeroed) ? backing_.discard(blocks.slba, blocks.count) : backing_.zero(blocks.slba, blocks.count);
    const CommandResult result = status == wire::kStatusSuccess ? written(association, queue_id, sqe) : CommandResult{flushed(status)};
    if (!result.later) association->finish(queue_id, sqe, result);
  });
  return {.later = true};
}

CommandResult BlockCommands::deallocate(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  const uint32_t count = (sqe.cdw10 & 0xffu) + 1;
  std::span<std::byte> data;
  if (const uint32_t status = data_for(*association, sqe, count * sizeof(DeallocateRange), data); status != wire::kStatusSuccess) return {status};
  // Copied once: checked and used are the same bytes.
  std::vector<DeallocateRange> ranges(count);
  std::memcpy(ranges.data(), data.data(), data.size());
  for (const DeallocateRange& r : ranges)
    if (!backing_.contains(r.slba, r.blocks)) return {wire::kStatusLbaOutOfRange};
  if ((sqe.cdw11 & kDeallocate) == 0) return {};  // hints only
  std::vector<MediaRange> media;
  for (const DeallocateRange& r : ranges) media.push_back({backing_.media_at() + r.slba * kBlockBytes, r.blocks * kBlockBytes});
  std::vector<std::shared_ptr<WritePermit>> held;
  for (const DeallocateRange& r : ranges) {
    held.push_back(permit(*association, {r.slba, r.blocks}));
    if (!held.back()) return {wire::kStatusNamespaceWriteProtected};
  }
  association->expect(queue_id, sqe.cid, plan_deallocate(media, !association->controller.features.write_cache()));
  flushes_.run_later([this, association, queue_id, sqe, ranges, held] {
    uint32_t status = wire::kStatusSuccess;
    for (size_t i = 0; i < ranges.size() && status == wire::kStatusSuccess; i++)
      if (ranges[i].blocks > 0) status = backing_.discard(ranges[i].slba, ranges[i].blocks);
    if (status != wire::kStatusSuccess || association->controller.features.write_cache()) return association->finish(queue_id, sqe, {flushed(status)});
    flushes_.flush(association, queue_id, sqe);
  });
  return {.later = true};
}

CommandResult BlockCommands::copy(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  const uint32_t count = (sqe.cdw12 & 0xffu) + 1;
  const uint32_t format = sqe.cdw12 >> 8 & 0xfu;
  const uint64_t to = uint64_t{sqe.cdw11} << 32 | sqe.cdw10;
  if ((format != 0 && format != 2) || (association->controller.features.copy_formats() >> format & 1u) == 0) return {wire::kStatusInvalidField};
  if (count > kCopyRangesMax) return {wire::kStatusCommandSizeLimitExceeded};
  std::span<std::byte> data;
  if (const uint32_t status = data_for(*association, sqe, count * sizeof(CopyRange), data); status != wire::kStatusSuccess) return {status};
  std::vector<CopyRange> ranges(count);
  std::memcpy(ranges.data(), data.data(), data.size());
  std::vector<const BackingFile*> sources;
  uint64_t blocks = 0;
  for (const CopyRange& r : ranges) {
    const BackingFile* source = format == 0 ? &backing_ : files_(r.snsid);
    if (!source) return {wire::kStatusInvalidNamespace};
    if (!source->contains(r.slba, uint64_t{r.blocks_less_one} + 1)) return {wire::kStatusLbaOutOfRange};
    if (!may_read(datasets_, *association, format == 0 ? sqe.nsid : r.snsid, r.slba, uint64_t{r.blocks_less_one} + 1)) return {wire::kStatusAccessDenied};
    if (uint64_t{r.blocks_less_one} + 1 > kTransferBytesMax / kBlockBytes) return {wire::kStatusCommandSizeLimitExceeded};  // MSSRL
    sources.push_back(source);
    blocks += uint64_t{r.blocks_less_one} + 1;
  }
  if (blocks > kTransferBytesMax / kBlockBytes) return {wire::kStatusCommandSizeLimitExceeded};  // MCL
  if (!backing_.contains(to, blocks)) return {wire::kStatusLbaOutOfRange};
  const auto held = permit(*association, {to, blocks});
  if (!held) return {wire::kStatusNamespaceWriteProtected};
  std::vector<MediaRange> media;
  for (uint32_t i = 0; i < count; i++) media.push_back({sources[i]->media_at() + ranges[i].slba * kBlockBytes, (uint64_t{ranges[i].blocks_less_one} + 1) * kBlockBytes});
  const bool durable = (sqe.cdw12 & kForceUnitAccess) != 0 || !association->controller.features.write_cache();
  association->expect(queue_id, sqe.cid, plan_copy({count, media}, {backing_.media_at() + to * kBlockBytes, blocks * kBlockBytes}, durable));
  // All is read before any is written: ranges may overlap the destination.
  std::vector<std::byte> bytes(blocks * kBlockBytes);
  uint64_t at = 0;
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t n = uint64_t{ranges[i].blocks_less_one} + 1;
    if (const uint32_t status = sources[i]->read(ranges[i].slba, n, bytes.data() + at); status != wire::kStatusSuccess) return {status, i};  // dw0: the first range that was not copied
    at += n * kBlockBytes;
  }
  if (const uint32_t status = backing_.write(to, blocks, bytes.data()); status != wire::kStatusSuccess) return {status, 0};
  Counters::add(counters_.media_read_bytes, bytes.size());
  Counters::add(counters_.media_written_bytes, bytes.size());
  return written(association, queue_id, sqe);
}

CommandResult BlockCommands::copy_from_memory(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe, Blocks to, CopySources sources, std::span<const std::byte> bytes, const std::function<CommandResult()>& fill) {
  if (!backing_.contains(to.slba, to.count)) return {wire::kStatusLbaOutOfRange};
  const auto held = permit(*association, to);
  if (!held) return {wire::kStatusNamespaceWriteProtected};
  const bool durable = !association->controller.features.write_cache();
  association->expect(queue_id, sqe.cid, plan_copy(sources, {backing_.media_at() + to.slba * kBlockBytes, to.bytes()}, durable));
  if (const CommandResult result = fill(); result.status != wire::kStatusSuccess) return result;
  if (const uint32_t status = backing_.write(to.slba, to.count, bytes.data()); status != wire::kStatusSuccess) {
    Counters::add(counters_.media_errors, status == wire::kStatusWriteFault ? 1 : 0);
    return {status};
  }
  Counters::add(counters_.media_written_bytes, to.bytes());
  if (!durable) return {};
  flushes_.flush(association, queue_id, sqe);
  return {.later = true};
}

}  // namespace millrace
