#include "core/model/memory_media.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace millrace {

namespace {

constexpr size_t kThreadsKept = 256;

MemorySettings checked(MemorySettings s) {
  const auto whole = [](double value, double most) { return value >= 1 && value <= most && value == std::floor(value); };
  if (!whole(s.line_bytes / 64, 64)) throw std::invalid_argument("media: lineBytes must be a multiple of 64 up to 4096");
  if (!whole(s.modules, 64)) throw std::invalid_argument("media: modules must be from 1 to 64");
  if (s.modules > 1 && !whole(s.interleave_bytes / s.line_bytes, 1e6)) throw std::invalid_argument("media: interleaveBytes must be a multiple of lineBytes");
  if (!(s.load_ns > 0 && s.load_buffered_ns > 0 && s.store_nt_ns > 0 && s.store_flushed_ns > 0)) throw std::invalid_argument("media: loadNs, loadBufferedNs, storeNtNs and storeFlushedNs must be above 0");
  if (!(s.line_read_ns > 0 && s.line_write_ns > 0 && s.load_ns >= s.line_read_ns)) throw std::invalid_argument("media: lineReadNs and lineWriteNs must be above 0, loadNs at least lineReadNs");
  if (s.interleave_bytes == 0) s.interleave_bytes = 4096;
  if (s.line_write_overhead == 0) s.line_write_overhead = 1;
  return s;
}

}  // namespace

MemoryMedia::MemoryMedia(const MemorySettings& settings, uint64_t capacity_bytes)
    : s_(checked(settings)),
      capacity_bytes_(std::max<uint64_t>(capacity_bytes, 4096)),
      modules_(static_cast<size_t>(s_.modules)),
      threads_(kThreadsKept),
      link_read_(s_.link_read_bytes_per_second),
      link_write_(s_.link_write_bytes_per_second) {}

/**
 * Every line sent in its parts: with more threads than the module keeps lines for, some lose theirs between the parts and
 * the media works for each part. The share that does is fitted (1 - (most / threads)^power), the mechanism is the paper's.
 */
double MemoryMedia::amplification(uint32_t threads, double most, double power) const {
  const double per_module = static_cast<double>(threads) / static_cast<double>(modules_.size());
  if (most <= 0 || per_module <= most) return 1;
  return 1 + (s_.line_bytes / kCacheLineBytes - 1) * (1 - std::pow(most / per_module, power));
}

ModelAnswer MemoryMedia::run(const ModelCommand& command, uint64_t at_ns, ModelLink& link) {
  if (base_ns_ == 0) base_ns_ = at_ns > 1'000'000'000 ? at_ns - 1'000'000'000 : 1;  // fractions keep their precision however long the machine runs
  if (at_ns > forgotten_ns_ + 2'000'000) {
    forgotten_ns_ = at_ns - 1'000'000;
    link_read_.forget(forgotten_ns_);
    link_write_.forget(forgotten_ns_);
  }
  if (command.op == ModelOp::kDeallocate) at_ns += static_cast<uint64_t>(s_.store_nt_ns);
  if (command.op != ModelOp::kRead && command.op != ModelOp::kWrite) return {at_ns, at_ns};  // what is accepted is persistent
  const bool reads = command.op == ModelOp::kRead;
  (reads ? totals_.reads : totals_.writes)++;
  (reads ? totals_.read_bytes : totals_.written_bytes) += command.bytes;
  Thread& thread = threads_[command.thread % kThreadsKept];
  const double now_ns = static_cast<double>(static_cast<int64_t>(at_ns - base_ns_));
  double& stream_ns = reads ? thread.loads_free_ns : thread.stores_free_ns;
  const double rate = reads ? s_.thread_read_bytes_per_second : s_.thread_write_bytes_per_second;
  const double begin_ns = std::max(now_ns, stream_ns);
  if (rate > 0) stream_ns = begin_ns + static_cast<double>(command.bytes) * 1e9 / rate;
  const double amplified = reads ? amplification(command.threads, s_.read_threads, s_.read_threads_power) : amplification(command.threads, s_.write_threads, s_.write_threads_power);
  const auto line_bytes = static_cast<uint64_t>(s_.line_bytes);
  double done_ns = rate > 0 ? stream_ns : begin_ns;
  for (uint64_t at = command.offset, end = command.offset + std::max<uint64_t>(1, command.bytes); at < end;) {
    const uint64_t bytes = std::min(end - at, line_bytes - at % line_bytes);
    const uint64_t offset = at % capacity_bytes_;
    done_ns = std::max(done_ns, reads ? load(thread, offset, bytes, begin_ns, amplified) : store(offset, bytes, command.store, begin_ns, amplified));
    at += bytes;
  }
  uint64_t media_ns = base_ns_ + static_cast<uint64_t>(std::llround(std::max(0.0, done_ns)));
  if (reads) media_ns = link_read_.pass(command.bytes, media_ns);
  else media_ns = std::max(media_ns, link_write_.pass(command.bytes, at_ns));
  // Programs and threads beside the device load and store; a host's block command crosses its link too.
  if (command.port == ModelPort::kDevice) return {media_ns, media_ns};
  if (reads) return {link.to_host.arrival_ns(command.bytes, media_ns), media_ns};
  return {std::max(media_ns, link.from_host.arrival_ns(command.bytes, at_ns)), media_ns};
}

double MemoryMedia::load(Thread& thread, uint64_t offset, uint64_t bytes, double at_ns, double amplified) {
  const uint64_t line = offset / static_cast<uint64_t>(s_.line_bytes);
  if (std::exchange(thread.last_line, line) == line && bytes < static_cast<uint64_t>(s_.line_bytes)) return at_ns + s_.load_buffered_ns;
  Module& module = module_of(offset);
  module.free_ns = std::max(module.free_ns, at_ns) + s_.line_read_ns * amplified;
  return module.free_ns + s_.load_ns - s_.line_read_ns;
}

double MemoryMedia::store(uint64_t offset, uint64_t bytes, ModelStore how, double at_ns, double amplified) {
  const auto line_bytes = static_cast<uint64_t>(s_.line_bytes);
  Module& module = module_of(offset);
  const double cache_lines = static_cast<double>((bytes + kCacheLineBytes - 1) / kCacheLineBytes);
  double lines;
  if (how == ModelStore::kCached) {
    lines = cache_lines;  // the caches evict them one by one, in no order
  } else {
    uint64_t parts = 0;
    for (uint64_t at = offset % line_bytes / kCacheLineBytes; at * kCacheLineBytes < offset % line_bytes + bytes; at++) parts |= 1ull << at;
    lines = combine(module.buffer, offset / line_bytes, parts);
  }
  lines *= amplified;
  media_written_bytes_ += lines * s_.line_bytes * s_.line_write_overhead;
  const double accepted_ns = std::max(at_ns, module.free_ns - s_.buffer_backlog_ns);
  const double stall_ns = wear(module, offset);
  const double fetch_ns = how == ModelStore::kNt ? 0 : s_.ownership_ns * cache_lines;
  module.free_ns = std::max(module.free_ns, at_ns) + lines * s_.line_write_ns + fetch_ns + stall_ns;
  return accepted_ns + stall_ns + (how == ModelStore::kNt ? s_.store_nt_ns : s_.store_flushed_ns);
}

double MemoryMedia::combine(Buffer& buffer, uint64_t line, uint64_t parts) {
  const uint64_t all = (1ull << (static_cast<uint64_t>(s_.line_bytes) / kCacheLineBytes)) - 1;
  const auto found = buffer.at.find(line);
  const auto remove = [&](size_t slot) {
    buffer.at.erase(buffer.lines[slot]);
    if (slot + 1 != buffer.lines.size()) {
      buffer.lines[slot] = buffer.lines.back();
      buffer.parts[slot] = buffer.parts.back();
      buffer.at[buffer.lines[slot]] = static_cast<uint32_t>(slot);
    }
    buffer.lines.pop_back();
    buffer.parts.pop_back();
  };
  if (found != buffer.at.end()) {
    const size_t slot = found->second;
    buffer.parts[slot] |= parts;
    if (buffer.parts[slot] != all) return 0;
    remove(slot);
    return 1;
  }
  if (parts == all) return 1;
  double lines = 0;
  if (s_.buffer_lines < 1) return 1;
  if (buffer.lines.size() >= static_cast<size_t>(s_.buffer_lines)) {
    remove(static_cast<size_t>(random() >> 33) % buffer.lines.size());
    lines = 1;
  }
  buffer.at[line] = static_cast<uint32_t>(buffer.lines.size());
  buffer.lines.push_back(line);
  buffer.parts.push_back(parts);
  return lines;
}

/** A block that takes most of a module's stores is moved to other cells, and the store that finds that out waits. */
double MemoryMedia::wear(Module& module, uint64_t offset) {
  if (s_.wear_block_bytes <= 0) return 0;
  const uint64_t block = offset / static_cast<uint64_t>(s_.wear_block_bytes);
  // The one candidate for a majority (Boyer and Moore), with its lead.
  if (block == module.hot_block) module.hot_stores++;
  else if (module.hot_stores == 0) module.hot_block = block;
  else module.hot_stores--;
  if (++module.stores < static_cast<uint64_t>(s_.wear_writes)) return 0;
  const bool hot = module.hot_stores * 2 > module.stores;
  module.stores = module.hot_stores = 0;
  return hot ? s_.wear_stall_ns : 0;
}

MediaTotals MemoryMedia::totals() const {
  MediaTotals totals = totals_;
  if (totals.written_bytes > 0) totals.write_amplification = media_written_bytes_ / static_cast<double>(totals.written_bytes);
  return totals;
}

void MemoryMedia::reset_counts() {
  totals_ = {};
  media_written_bytes_ = 0;
}

}  // namespace millrace
