// Memory Copy of the SLM command set: blocks or memory into memory, or memory into blocks. Opcode, dwords and formats: unratified.h.
#include <algorithm>
#include <cstring>

#include "core/device/commands.h"

namespace millrace {

namespace {

enum Format : uint32_t { kFromBlocks = 2, kToBlocks = 3, kFromMemory = 4 };

/** One source, 32 bytes: of blocks as NVM command set 1.0, figure 31; of memory with a byte address and length. */
struct CopyRange {
  uint32_t nsid;
  uint32_t length;  // bytes, of memory; blocks: reserved
  uint64_t start;   // LBA of blocks, byte address of memory
  uint16_t blocks_less_one;
  uint8_t reserved[14];

  bool clean(bool blocks) const { return (blocks ? length == 0 : blocks_less_one == 0) && std::all_of(std::begin(reserved), std::end(reserved), [](uint8_t b) { return b == 0; }); }
  uint64_t blocks() const { return uint64_t{blocks_less_one} + 1; }
  uint64_t bytes(bool of_blocks) const { return of_blocks ? blocks() * kBlockBytes : length; }
};
static_assert(sizeof(CopyRange) == 32);

/** The ranges the host sent, copied once. */
uint32_t list_of(const Association& association, const wire::Sqe& sqe, bool blocks, std::vector<CopyRange>& ranges) {
  const auto data = association.data_of(sqe);
  if (!data) return wire::kStatusInvalidField;
  if (data->size() < ranges.size() * sizeof(CopyRange)) return wire::kStatusDataSglLengthInvalid;
  std::memcpy(ranges.data(), data->data(), ranges.size() * sizeof(CopyRange));
  return std::all_of(ranges.begin(), ranges.end(), [blocks](const CopyRange& r) { return r.clean(blocks); }) ? wire::kStatusSuccess : wire::kStatusInvalidField;
}

}  // namespace

uint32_t MemoryCommands::check_source_blocks(const Association& association, uint32_t nsid, uint64_t slba, uint64_t blocks) const {
  const BackingFile* source = files_(nsid);
  if (!source) return wire::kStatusInvalidNamespace;
  if (!source->contains(slba, blocks)) return wire::kStatusLbaOutOfRange;
  return may_read(datasets_, association, nsid, slba, blocks) ? wire::kStatusSuccess : wire::kStatusAccessDenied;
}

uint32_t MemoryCommands::check_source_memory(const Association& association, uint32_t nsid, uint64_t start, uint64_t length) const {
  if (nsid != wire::kNsidSlm && !(nsid == wire::kNsidPmem && association.controller.subsystem.find(nsid))) return wire::kStatusInvalidMemoryNamespace;
  return check_range(association, nsid, start, length);
}

CommandResult MemoryCommands::copy(const std::shared_ptr<Association>& host, uint32_t queue_id, const wire::Sqe& sqe) const {
  Association& association = *host;
  const uint32_t count = (sqe.cdw12 & 0xffu) + 1;
  const uint32_t format = sqe.cdw12 >> 8 & 0xfu;
  const uint64_t length = uint64_t{sqe.cdw3} << 32 | sqe.cdw2;
  const uint64_t to = uint64_t{sqe.cdw11} << 32 | sqe.cdw10;
  if (format != kFromBlocks && format != kToBlocks && format != kFromMemory) return {wire::kStatusInvalidField};
  const bool from_blocks = format == kFromBlocks;
  BlockCommands* const blocks = format == kToBlocks ? blocks_(sqe.cdw13) : nullptr;
  if (format == kToBlocks && !blocks) return {wire::kStatusInvalidNamespace};
  if (format != kToBlocks && sqe.cdw13 != 0) return {wire::kStatusInvalidField};
  if (count > kCopyRangesMax || length == 0 || length > kTransferBytesMax || (blocks && length % kBlockBytes != 0)) return {wire::kStatusInvalidField};
  if (const uint32_t status = blocks ? uint32_t{wire::kStatusSuccess} : check_range(association, sqe.nsid, to, length); status != wire::kStatusSuccess) return {status};
  std::vector<CopyRange> ranges(count);
  if (const uint32_t status = list_of(association, sqe, from_blocks, ranges); status != wire::kStatusSuccess) return {status};
  uint64_t sum = 0;
  std::vector<MediaRange> media;
  for (const CopyRange& r : ranges) {
    const uint32_t status = from_blocks ? check_source_blocks(association, r.nsid, r.start, r.blocks()) : check_source_memory(association, r.nsid, r.start, r.length);
    if (status != wire::kStatusSuccess) return {status};
    sum += r.bytes(from_blocks);
    if (from_blocks) media.push_back({files_(r.nsid)->media_at() + r.start * kBlockBytes, r.bytes(true)});
    else if (r.nsid == wire::kNsidPmem) media.push_back({r.start, r.length});
  }
  if (sum != length) return {wire::kStatusInvalidField};
  // All is read before any is written: sources may overlap the destination.
  std::vector<std::byte> bytes(length);
  const auto read_all = [&]() -> CommandResult {
    uint64_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
      const CopyRange& r = ranges[i];
      const std::span to_here{bytes.data() + at, r.bytes(from_blocks)};
      const uint32_t status = from_blocks ? get_blocks(r.nsid, r.start, to_here) : get(association, r.nsid, r.start, to_here);
      if (status != wire::kStatusSuccess) return {status, i};
      at += to_here.size();
    }
    return {};
  };
  if (blocks) return blocks->copy_from_memory(host, queue_id, sqe, {to, length / kBlockBytes}, {count, media}, bytes, read_all);
  if (sqe.nsid == wire::kNsidPmem) association.expect(queue_id, sqe.cid, plan_copy({count, media}, {to, length}, !association.controller.features.write_cache()));
  else association.expect(queue_id, sqe.cid, plan_memory_copy({count, media}));
  if (const CommandResult result = read_all(); result.status != wire::kStatusSuccess) return result;
  return {put(association, sqe.nsid, to, bytes)};
}

}  // namespace millrace
