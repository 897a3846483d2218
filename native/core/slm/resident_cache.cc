#include "core/slm/resident_cache.h"

namespace millrace {

ResidentCache::Entry ResidentCache::find(const ChunkKey& key, uint64_t bytes, bool admit) {
  const std::lock_guard lock(mutex_);
  if (const auto it = chunks_.find(key); it != chunks_.end()) {
    Chunk& chunk = it->second;
    if (!chunk.filled) return {Found::kNo, 0};
    if (chunk.pins++ == 0) ages_.erase(chunk.age);
    hits_++;
    return {Found::kHit, chunk.offset};
  }
  misses_++;
  if (!admit || bytes > pages_.bytes()) return {Found::kNo, 0};
  auto at = pages_.take(bytes);
  while (!at && !ages_.empty()) {
    remove(chunks_.find(ages_.front()));
    evictions_++;
    at = pages_.take(bytes);
  }
  if (!at) return {Found::kNo, 0};
  chunks_.emplace(key, Chunk{*at, bytes, 1, false, {}});
  return {Found::kReserved, *at};
}

void ResidentCache::publish(const ChunkKey& key) {
  const std::lock_guard lock(mutex_);
  const auto it = chunks_.find(key);
  invariant(it != chunks_.end() && !it->second.filled, "a reserved chunk is published once");
  it->second.filled = true;
}

void ResidentCache::abandon(const ChunkKey& key) {
  const std::lock_guard lock(mutex_);
  const auto it = chunks_.find(key);
  invariant(it != chunks_.end() && !it->second.filled, "a reserved chunk is abandoned once");
  pages_.give(it->second.offset, it->second.bytes);
  chunks_.erase(it);
}

void ResidentCache::unpin(const ChunkKey& key) {
  const std::lock_guard lock(mutex_);
  const auto it = chunks_.find(key);
  invariant(it != chunks_.end() && it->second.pins > 0, "a pinned chunk is unpinned");
  if (--it->second.pins == 0) it->second.age = ages_.insert(ages_.end(), key);
}

void ResidentCache::drop_dataset(uint32_t dataset) {
  const std::lock_guard lock(mutex_);
  for (auto it = chunks_.begin(); it != chunks_.end();) {
    const auto next = std::next(it);
    if (it->first.dataset == dataset) remove(it);
    it = next;
  }
}

void ResidentCache::remove(Chunks::iterator it) {
  invariant(it != chunks_.end() && it->second.pins == 0 && it->second.filled, "only idle chunks are put out");
  ages_.erase(it->second.age);
  pages_.give(it->second.offset, it->second.bytes);
  chunks_.erase(it);
}

ResidentCache::Stats ResidentCache::stats() const {
  const std::lock_guard lock(mutex_);
  return {pages_.bytes() - pages_.free_bytes(), hits_, misses_, evictions_};
}

}  // namespace millrace
