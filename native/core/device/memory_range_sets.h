// Memory Range Sets of one association: what a program may touch. Ranges lie in the host's own SLM, or in media that is memory.
#pragma once
#include <map>
#include <memory>
#include <vector>

#include "core/slm/host_memory.h"
#include "wire/wire.gen.h"

namespace millrace {

using MemoryRanges = std::vector<wire::MemoryRange>;

/** wire::Status of a list of ranges a host gave. media_bytes: of namespace 6; 0: there is none. Whose the bytes are, a program that is to use them is asked. */
inline uint32_t check_ranges(const MemoryRanges& ranges, uint64_t media_bytes) {
  for (const wire::MemoryRange& r : ranges) {
    const bool media = r.nsid == wire::kNsidPmem && media_bytes > 0;
    if (r.nsid != wire::kNsidSlm && !media) return wire::kStatusInvalidMemoryNamespace;
    const bool inside = media ? r.length <= media_bytes && r.start <= media_bytes - r.length : HostMemory::contains(r.start, r.length);
    if (r.length == 0 || !inside) return wire::kStatusInvalidMemoryRangeSet;
  }
  for (size_t i = 0; i < ranges.size(); i++)
    for (size_t j = 0; j < i; j++)
      if (ranges[i].nsid == ranges[j].nsid && ranges[i].start < ranges[j].start + ranges[j].length && ranges[j].start < ranges[i].start + ranges[i].length) return wire::kStatusOverlappingMemoryRanges;
  return wire::kStatusSuccess;
}

/** Used by the association's I/O thread only; a running program holds its set by the shared pointer. */
class MemoryRangeSets {
 public:
  /** id: the new set's, 1 on. */
  uint32_t create(MemoryRanges ranges, uint64_t media_bytes, uint16_t& id) {
    if (const uint32_t status = check_ranges(ranges, media_bytes); status != wire::kStatusSuccess) return status;
    if (sets_.size() >= kMemoryRangeSetsMax) return wire::kStatusMaximumMemoryRangeSetsExceeded;
    do next_ = next_ == 0xffff ? 1 : static_cast<uint16_t>(next_ + 1);
    while (sets_.contains(next_));
    id = next_;
    sets_.emplace(id, std::make_shared<const MemoryRanges>(std::move(ranges)));
    return wire::kStatusSuccess;
  }
  uint32_t remove(uint16_t id) {
    const auto it = sets_.find(id);
    if (it == sets_.end()) return wire::kStatusInvalidMemoryRangeSetIdentifier;
    if (it->second.use_count() > 1) return wire::kStatusMemoryRangeSetInUse;
    sets_.erase(it);
    return wire::kStatusSuccess;
  }
  std::shared_ptr<const MemoryRanges> find(uint16_t id) const {
    const auto it = sets_.find(id);
    return it == sets_.end() ? nullptr : it->second;
  }
  const std::map<uint16_t, std::shared_ptr<const MemoryRanges>>& all() const { return sets_; }

 private:
  std::map<uint16_t, std::shared_ptr<const MemoryRanges>> sets_;
  uint16_t next_ = 0;
};

}  // namespace millrace
