// SLM command set on the host's own SLM (HostMemory) and on media that is memory (namespace 6, the bytes of namespace 1), and
// Memory Range Set Management; memory_copy.cc has Memory Copy. Opcodes and dwords: unratified.h.
#include <cstring>

#include "core/device/commands.h"

namespace millrace {

namespace {

uint64_t start_of(const wire::Sqe& sqe) { return uint64_t{sqe.cdw11} << 32 | sqe.cdw10; }
/** Hosts address SLM by dwords, programs by bytes. */
bool dwords(uint64_t start, uint64_t length) { return start % 4 == 0 && length % 4 == 0; }

uint64_t first_block(uint64_t start) { return start / kBlockBytes; }
uint64_t blocks_over(uint64_t start, uint64_t length) { return (start + length + kBlockBytes - 1) / kBlockBytes - first_block(start); }

}  // namespace

uint32_t MemoryCommands::check_range(const Association& association, uint32_t nsid, uint64_t start, uint64_t length) const {
  if (length == 0 || !dwords(start, length)) return wire::kStatusInvalidField;
  if (nsid == wire::kNsidSlm) return HostMemory::contains(start, length) ? wire::kStatusSuccess : wire::kStatusLbaOutOfRange;
  const BackingFile& media = *files_(wire::kNsidNvm);
  const uint64_t bytes = media.blocks() * kBlockBytes;
  if (length > bytes || start > bytes - length) return wire::kStatusLbaOutOfRange;
  return may_read(datasets_, association, wire::kNsidNvm, first_block(start), blocks_over(start, length)) ? wire::kStatusSuccess : wire::kStatusAccessDenied;
}

uint32_t MemoryCommands::get_blocks(uint32_t nsid, uint64_t slba, std::span<std::byte> to) const {
  const uint32_t status = files_(nsid)->read(slba, to.size() / kBlockBytes, to.data());
  if (status == wire::kStatusSuccess) Counters::add(counters_.media_read_bytes, to.size());
  else Counters::add(counters_.media_errors, 1);
  return status;
}

uint32_t MemoryCommands::get(const Association& association, uint32_t nsid, uint64_t start, std::span<std::byte> to) const {
  if (nsid == wire::kNsidSlm) {
    association.memory.read(start, to);
    return wire::kStatusSuccess;
  }
  const uint32_t status = files_(wire::kNsidNvm)->read_bytes(start, to.size(), to.data());
  if (status == wire::kStatusSuccess) Counters::add(counters_.media_read_bytes, to.size());
  else Counters::add(counters_.media_errors, 1);
  return status;
}

uint32_t MemoryCommands::put(Association& association, uint32_t nsid, uint64_t start, std::span<const std::byte> from) const {
  if (nsid == wire::kNsidSlm) return association.memory.write(start, from) ? wire::kStatusSuccess : wire::kStatusCapacityExceeded;
  // What a Write may not touch, a Memory Write may not either.
  const auto held = association.write_permit(first_block(start), blocks_over(start, from.size()));
  if (!held) return wire::kStatusNamespaceWriteProtected;
  const uint32_t status = files_(wire::kNsidNvm)->write_bytes(start, from.size(), from.data());
  if (status == wire::kStatusSuccess) Counters::add(counters_.media_written_bytes, from.size());
  else if (status == wire::kStatusWriteFault) Counters::add(counters_.media_errors, 1);
  return status;
}

CommandResult MemoryCommands::fill(Association& association, const wire::Sqe& sqe) const {
  const uint64_t length = sqe.cdw12;
  if (const uint32_t status = check_range(association, sqe.nsid, start_of(sqe), length); status != wire::kStatusSuccess) return {status};
  if (sqe.nsid == wire::kNsidSlm) {
    association.memory.zero(start_of(sqe), length);
    return {};
  }
  if (length > kTransferBytesMax) return {wire::kStatusInvalidField};
  return {put(association, sqe.nsid, start_of(sqe), std::vector<std::byte>(length))};
}

CommandResult MemoryCommands::read(const Association& association, const wire::Sqe& sqe) const {
  const uint64_t length = sqe.cdw12;
  if (const uint32_t status = check_range(association, sqe.nsid, start_of(sqe), length); status != wire::kStatusSuccess) return {status};
  if (length > kTransferBytesMax) return {wire::kStatusInvalidField};
  const auto data = association.data_of(sqe);
  if (!data) return {wire::kStatusInvalidField};
  if (data->size() < length) return {wire::kStatusDataSglLengthInvalid};
  if (const uint32_t status = get(association, sqe.nsid, start_of(sqe), data->first(length)); status != wire::kStatusSuccess) return {status};
  return {wire::kStatusSuccess, 0, 0, length};
}

CommandResult MemoryCommands::write(Association& association, const wire::Sqe& sqe) const {
  const uint64_t length = sqe.cdw12;
  if (const uint32_t status = check_range(association, sqe.nsid, start_of(sqe), length); status != wire::kStatusSuccess) return {status};
  if (length > kTransferBytesMax) return {wire::kStatusInvalidField};
  const auto data = association.data_of(sqe);
  if (!data) return {wire::kStatusInvalidField};
  if (data->size() < length) return {wire::kStatusDataSglLengthInvalid};
  return {put(association, sqe.nsid, start_of(sqe), data->first(length))};
}

CommandResult manage_range_set(Association& association, const wire::Sqe& sqe) {
  const uint32_t select = sqe.cdw10 & 0xfu;
  const auto id = static_cast<uint16_t>(sqe.cdw10 >> 16);
  const uint32_t count = sqe.cdw11 & 0xffu;
  if (select > 1) return {wire::kStatusInvalidField};
  if (select == 1) return {count != 0 ? uint32_t{wire::kStatusInvalidField} : association.range_sets.remove(id)};
  if (id != 0) return {wire::kStatusInvalidMemoryRangeSetIdentifier};
  if (count == 0) return {wire::kStatusInvalidMemoryRangeSet};
  if (count > kMemoryRangesMax) return {wire::kStatusMaximumMemoryRangesExceeded};
  const auto data = association.data_of(sqe);
  if (!data) return {wire::kStatusInvalidField};
  if (data->size() < count * sizeof(wire::MemoryRange)) return {wire::kStatusDataSglLengthInvalid};
  MemoryRanges ranges(count);
  std::memcpy(ranges.data(), data->data(), count * sizeof(wire::MemoryRange));
  uint16_t made = 0;
  const uint32_t status = association.range_sets.create(std::move(ranges), association.controller.subsystem.bytes_of(wire::kNsidPmem), made);
  return {status, status == wire::kStatusSuccess ? made : 0u};
}

}  // namespace millrace
