// Column chunks that stay in SLM across morsels and queries: pinned while a kernel may read them, least recently used out.
#pragma once
#include <cstdint>
#include <list>
#include <mutex>
#include <unordered_map>

#include "core/slm/page_allocator.h"

namespace millrace {

struct ChunkKey {
  uint32_t dataset;
  uint32_t column;
  uint32_t row_group;
  bool operator==(const ChunkKey&) const = default;
};

struct ChunkKeyHash {
  size_t operator()(const ChunkKey& k) const {
    return (uint64_t{k.dataset} * 0x9e3779b97f4a7c15ull) ^ (uint64_t{k.column} * 0xc2b2ae3d27d4eb4full) ^ (uint64_t{k.row_group} * 0x165667b19e3779f9ull);
  }
};

class ResidentCache {
 public:
  enum class Found : uint8_t {
    kHit,       // pinned, at `offset`
    kReserved,  // the caller fills `offset`, then calls publish or abandon
    kNo,        // not here, and not to be had: no room, not admitted, or another thread is just filling it
  };
  struct Entry {
    Found found;
    uint64_t offset;
  };

  ResidentCache(uint64_t base, uint64_t bytes) : pages_(base, bytes) {}

  /** A hit is pinned. `admit`: reserve room on a miss, putting unpinned chunks out. */
  Entry find(const ChunkKey& key, uint64_t bytes, bool admit);
  /** The reserved chunk is filled and verified; it is pinned for the caller. */
  void publish(const ChunkKey& key);
  /** The reserved chunk could not be filled. */
  void abandon(const ChunkKey& key);
  void unpin(const ChunkKey& key);
  /** Nobody can ask for the dataset any more. Nothing of it may be pinned. */
  void drop_dataset(uint32_t dataset);

  struct Stats {
    uint64_t bytes;
    uint64_t hits;
    uint64_t misses;
    uint64_t evictions;
  };
  Stats stats() const;
  uint64_t capacity() const { return pages_.bytes(); }

 private:
  struct Chunk {
    uint64_t offset;
    uint64_t bytes;
    uint32_t pins = 0;
    bool filled = false;
    std::list<ChunkKey>::iterator age;  // in ages_ while unpinned and filled
  };
  using Chunks = std::unordered_map<ChunkKey, Chunk, ChunkKeyHash>;
  void remove(Chunks::iterator it);

  mutable std::mutex mutex_;
  PageAllocator pages_;
  Chunks chunks_;
  std::list<ChunkKey> ages_;  // unpinned chunks, oldest first
  uint64_t hits_ = 0;
  uint64_t misses_ = 0;
  uint64_t evictions_ = 0;
};

}  // namespace millrace
