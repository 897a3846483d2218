// The one memfd of an association: admin ring, I/O ring, data region.
#pragma once
#include <bit>
#include <optional>

#include "core/limits.h"
#include "core/queue/ring.h"
#include "core/shared_memory.h"

namespace millrace {

struct AssociationGeometry {
  uint32_t entries;
  uint64_t data_bytes;

  /** What was asked for, if it is within the bounds; data rounded up to pages. */
  static std::optional<AssociationGeometry> checked(uint32_t entries, uint64_t data_bytes) {
    if (!std::has_single_bit(entries) || entries < kIoEntriesMin || entries > kIoEntriesMax) return std::nullopt;
    if (data_bytes < kDataBytesMin || data_bytes > kDataBytesMax) return std::nullopt;
    return AssociationGeometry{entries, (data_bytes + kPageBytes - 1) & ~(kPageBytes - 1)};
  }
  uint64_t io_offset() const { return RingView::bytes_for(kAdminEntries, kAdminEntries); }
  uint64_t data_offset() const { return io_offset() + RingView::bytes_for(entries, entries); }
  uint64_t bytes() const { return data_offset() + data_bytes; }

  RingView admin(std::byte* base) const { return RingView::over(base, kAdminEntries, kAdminEntries); }
  RingView io(std::byte* base) const { return RingView::over(base + io_offset(), entries, entries); }
  std::byte* data(std::byte* base) const { return base + data_offset(); }
};

}  // namespace millrace
