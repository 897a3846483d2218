// A set of block ranges, merged. Answers "is all of this inside" and "how much of this is inside".
#pragma once
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>

namespace millrace {

struct BlockRange {
  uint64_t slba;
  uint64_t blocks;
};

class BlockRanges {
 public:
  /** slba + blocks must not overflow. */
  void add(BlockRange range) {
    if (range.blocks == 0) return;
    uint64_t start = range.slba;
    uint64_t end = range.slba + range.blocks;
    auto it = ranges_.upper_bound(start);
    if (it != ranges_.begin() && std::prev(it)->second >= start) --it;
    while (it != ranges_.end() && it->first <= end) {
      start = std::min(start, it->first);
      end = std::max(end, it->second);
      it = ranges_.erase(it);
    }
    ranges_.emplace(start, end);
  }

  bool contains(uint64_t slba, uint64_t blocks) const { return covered(slba, blocks) == blocks; }

  /** Blocks of [slba, slba + blocks) that are in the set. */
  uint64_t covered(uint64_t slba, uint64_t blocks) const {
    const uint64_t end = slba + blocks;
    uint64_t sum = 0;
    auto it = ranges_.upper_bound(slba);
    if (it != ranges_.begin()) --it;
    for (; it != ranges_.end() && it->first < end; ++it) {
      const uint64_t from = std::max(slba, it->first);
      const uint64_t to = std::min(end, it->second);
      if (from < to) sum += to - from;
    }
    return sum;
  }

  void clear() { ranges_.clear(); }
  const std::map<uint64_t, uint64_t>& spans() const { return ranges_; }

 private:
  std::map<uint64_t, uint64_t> ranges_;  // start -> end
};

}  // namespace millrace
