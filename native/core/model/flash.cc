#include "core/model/flash.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace millrace {

namespace {

/** So many lines at least: with fewer, the lines being written take most of the over-provisioning. */
constexpr uint64_t kLinesMin = 1024;

FlashSettings checked(FlashSettings s) {
  const auto whole = [](double value, double most) { return value >= 1 && value <= most && value == std::floor(value); };
  if (!whole(s.channels, 64) || !whole(s.luns_per_channel, 256)) throw std::invalid_argument("media: channels must be from 1 to 64, lunsPerChannel from 1 to 256");
  if (!whole(s.flash_page_bytes / 4096, 64) || !whole(s.program_bytes / s.flash_page_bytes, 64)) throw std::invalid_argument("media: flashPageBytes must be a multiple of 4 KiB and programBytes a multiple of it");
  if (!whole(s.pages_per_block, 65536) || !whole(s.page_types, 4)) throw std::invalid_argument("media: pagesPerBlock must be from 1 to 65536, pageTypes from 1 to 4");
  if (!(s.read_ns > 0 && s.read_small_ns > 0 && s.program_ns > 0 && s.channel_bytes_per_second > 0)) throw std::invalid_argument("media: readNs, readSmallNs, programNs and channelBytesPerSecond must be above 0");
  if (!whole(s.channel_chunk_bytes / 4096, 1024)) throw std::invalid_argument("media: channelChunkBytes must be a multiple of 4 KiB");
  if (s.buffer_bytes < 2 * s.program_bytes) throw std::invalid_argument("media: bufferBytes must hold two program units");
  if (!(s.over_provision >= 0 && s.over_provision <= 4)) throw std::invalid_argument("media: overProvision must be from 0 to 4");
  return s;
}

FtlGeometry geometry_of(const FlashSettings& s, uint64_t capacity_bytes) {
  FtlGeometry g;
  g.luns = static_cast<uint32_t>(s.channels * s.luns_per_channel);
  g.unit_pages = static_cast<uint32_t>(s.program_bytes / 4096);
  g.logical_pages = std::max<uint64_t>(1, capacity_bytes / 4096);
  g.over_provision = s.over_provision;
  const auto nominal = static_cast<uint64_t>(std::max(1.0, s.pages_per_block * s.flash_page_bytes / s.program_bytes));
  const auto fitting = static_cast<uint64_t>(static_cast<double>(g.logical_pages) * (1 + s.over_provision) / static_cast<double>(kLinesMin * g.luns * g.unit_pages));
  g.block_units = static_cast<uint32_t>(std::clamp<uint64_t>(fitting, 1, nominal));
  return g;
}

}  // namespace

FlashMedia::FlashMedia(const FlashSettings& settings, uint64_t capacity_bytes)
    : s_(checked(settings)),
      flash_page_pages_(static_cast<uint32_t>(s_.flash_page_bytes / 4096)),
      ftl_(geometry_of(s_, capacity_bytes)),
      luns_(static_cast<size_t>(s_.channels * s_.luns_per_channel)),
      channels_(static_cast<size_t>(s_.channels), Pipe(s_.channel_bytes_per_second)),
      device_(s_.device_bytes_per_second) {
  // A small namespace has small blocks, so that it has lines enough; its erases are shorter, so that a byte costs the same.
  erase_ns_ = s_.erase_ns * geometry_of(s_, capacity_bytes).block_units / std::max(1.0, s_.pages_per_block * s_.flash_page_bytes / s_.program_bytes);
}

ModelAnswer FlashMedia::run(const ModelCommand& command, uint64_t at_ns, ModelLink& link) {
  constexpr uint64_t kSlackNs = 1'000'000;  // between threads that take commands
  constexpr uint64_t kForgetEveryNs = 100'000;
  if (at_ns > forgotten_ns_ + kSlackNs + kForgetEveryNs) {
    forgotten_ns_ = at_ns - kSlackNs;
    for (Pipe& channel : channels_) channel.forget(forgotten_ns_);
    device_.forget(forgotten_ns_);
  }
  switch (command.op) {
    case ModelOp::kRead: return read(command, at_ns, link);
    case ModelOp::kWrite: return write(command, at_ns, link);
    case ModelOp::kFlush: return flush(at_ns);
    case ModelOp::kDeallocate:
      // Whole pages within the range only.
      for (uint64_t page = (command.offset + 4095) / 4096; (page + 1) * 4096 <= command.offset + command.bytes; page++) ftl_.deallocate(page % ftl_.logical_pages());
      at_ns += static_cast<uint64_t>(s_.write_fixed_ns);
      break;
    case ModelOp::kTransfer:
    case ModelOp::kReceive: break;
  }
  return {at_ns, at_ns};
}

template <typename Chunk>
uint64_t FlashMedia::sense(Ftl::Place place, uint64_t bytes, uint64_t at_ns, Chunk&& chunk) {
  Lun& lun = luns_[place.lun];
  uint64_t begin_ns = std::max(lun.free_ns, at_ns);
  // Programs and erases step aside for a read, and end later by what it took.
  if (s_.suspend_ns > 0) begin_ns = std::min(begin_ns, std::max(lun.read_free_ns, at_ns + static_cast<uint64_t>(s_.suspend_ns)));
  const uint32_t types = static_cast<uint32_t>(s_.page_types);
  const uint32_t type = place.page / flash_page_pages_ % types;
  const double spread = types > 1 ? s_.read_spread_ns * (2.0 * type / (types - 1) - 1) : 0;
  const uint64_t sensed_ns = begin_ns + static_cast<uint64_t>((bytes <= 4096 ? s_.read_small_ns : s_.read_ns) + spread);
  Pipe& channel = channels_[place.lun % channels_.size()];
  uint64_t ready_ns = sensed_ns;
  for (uint64_t left = bytes; left > 0;) {
    const uint64_t part = std::min<uint64_t>(left, static_cast<uint64_t>(s_.channel_chunk_bytes));
    ready_ns = channel.pass(part, ready_ns);
    chunk(part, ready_ns);
    left -= part;
  }
  lun.free_ns = begin_ns < lun.free_ns ? lun.free_ns + (ready_ns - begin_ns) : ready_ns;
  lun.read_free_ns = ready_ns;
  return ready_ns;
}

ModelAnswer FlashMedia::read(const ModelCommand& command, uint64_t at_ns, ModelLink& link) {
  totals_.reads++;
  totals_.read_bytes += command.bytes;
  uint64_t begin_ns = at_ns + static_cast<uint64_t>(static_cast<double>(command.bytes) <= s_.firmware_small_bytes ? s_.firmware_small_ns : s_.firmware_ns);
  if (s_.split_bytes > 0 && static_cast<double>(command.bytes) > s_.split_bytes) begin_ns += static_cast<uint64_t>(s_.split_ns);
  uint64_t done_ns = begin_ns;
  uint64_t busy_ns = begin_ns;
  const double stream_ns_per_byte = s_.stream_read_bytes_per_second > 0 ? 1e9 / s_.stream_read_bytes_per_second : 0;
  double stream_ns = static_cast<double>(begin_ns);
  const auto out = [&](uint64_t bytes, uint64_t ready_ns) {
    busy_ns = std::max(busy_ns, ready_ns);
    uint64_t arrived_ns = command.port == ModelPort::kHost ? link.to_host.arrival_ns(bytes, ready_ns) : device_.pass(bytes, ready_ns);
    if (stream_ns_per_byte > 0) {
      stream_ns = std::max(stream_ns, static_cast<double>(arrived_ns)) + static_cast<double>(bytes) * stream_ns_per_byte;
      arrived_ns = static_cast<uint64_t>(stream_ns);
    }
    done_ns = std::max(done_ns, arrived_ns);
  };
  const uint64_t pages = (command.offset % 4096 + command.bytes + 4095) / 4096;
  const uint64_t first = command.offset / 4096;
  for (uint64_t i = 0; i < pages;) {
    const auto at = ftl_.find((first + i) % ftl_.logical_pages());
    if (!at) {
      out(4096, begin_ns);
      i++;
      continue;
    }
    // Neighbours in one flash page are sensed once.
    uint64_t count = 1;
    while (i + count < pages && (*at + count) % flash_page_pages_ != 0 && ftl_.find((first + i + count) % ftl_.logical_pages()) == *at + count) count++;
    sense(ftl_.place(*at), count * 4096, begin_ns, out);
    i += count;
  }
  return {done_ns, busy_ns};
}

uint64_t FlashMedia::program(uint32_t position, uint64_t at_ns) {
  const Ftl::Place place = ftl_.place(position);
  Lun& lun = luns_[place.lun];
  const auto bytes = static_cast<uint64_t>(s_.program_bytes);
  uint64_t begin_ns = std::max(lun.free_ns, at_ns);
  // A block is erased right before its first program, so that the LUNs of a line do not all erase at once.
  const bool erase = erase_ns_ > 0 && ftl_.begins_block(position);
  if (erase) {
    erases_++;
    begin_ns += static_cast<uint64_t>(erase_ns_);
  }
  lun.free_ns = channels_[place.lun % channels_.size()].pass(bytes, begin_ns) + static_cast<uint64_t>(s_.program_ns);
  return lun.free_ns;
}

void FlashMedia::collect(uint64_t at_ns) {
  uint32_t last_page = ~0u;
  while (const auto move = ftl_.collect()) {
    // One sense brings all pages of a flash page; they are written back without the link.
    if (move->from / flash_page_pages_ != last_page) {
      moved_reads_++;
      sense(ftl_.place(move->from), 4096, at_ns, [](uint64_t, uint64_t) {});
    } else {
      channels_[ftl_.place(move->from).lun % channels_.size()].pass(4096, at_ns);
    }
    last_page = move->from / flash_page_pages_;
    if (ftl_.ends_unit(move->to)) program(move->to, at_ns);
  }
}

uint64_t FlashMedia::wait_for_buffer(uint64_t bytes, uint64_t at_ns) {
  const auto capacity = static_cast<uint64_t>(s_.buffer_bytes);
  while (!releases_.empty() && (releases_.top().at_ns <= at_ns || buffered_bytes_ + bytes > capacity)) {
    at_ns = std::max(at_ns, releases_.top().at_ns);
    buffered_bytes_ -= releases_.top().bytes;
    releases_.pop();
  }
  buffered_bytes_ += bytes;
  return at_ns;
}

ModelAnswer FlashMedia::write(const ModelCommand& command, uint64_t at_ns, ModelLink& link) {
  totals_.writes++;
  totals_.written_bytes += command.bytes;
  const uint64_t pages = std::max<uint64_t>(1, (command.offset % 4096 + command.bytes + 4095) / 4096);
  const uint64_t first = command.offset / 4096;
  const uint64_t begin_ns = at_ns + static_cast<uint64_t>(s_.write_fixed_ns + s_.write_per_page_ns * static_cast<double>(pages));
  const auto chunk_pages = static_cast<uint64_t>(s_.program_bytes / 4096);
  const double stream_ns_per_byte = s_.stream_write_bytes_per_second > 0 ? 1e9 / s_.stream_write_bytes_per_second : 0;
  double stream_ns = static_cast<double>(begin_ns);
  uint64_t done_ns = begin_ns;
  uint64_t programmed_ns = begin_ns;
  for (uint64_t i = 0; i < pages;) {
    const uint64_t count = std::min(chunk_pages, pages - i);
    const uint64_t bytes = count * 4096;
    uint64_t here_ns = command.port == ModelPort::kHost ? link.from_host.arrival_ns(bytes, begin_ns) : device_.pass(bytes, begin_ns);
    if (stream_ns_per_byte > 0) {
      stream_ns = std::max(stream_ns, static_cast<double>(here_ns)) + static_cast<double>(bytes) * stream_ns_per_byte;
      here_ns = static_cast<uint64_t>(stream_ns);
    }
    here_ns = std::max(here_ns, wait_for_buffer(bytes, here_ns));
    done_ns = std::max(done_ns, here_ns);
    for (uint64_t k = 0; k < count; k++) {
      const uint32_t position = ftl_.write((first + i + k) % ftl_.logical_pages());
      open_bytes_ += 4096;
      if (ftl_.ends_unit(position)) {
        programmed_ns = program(position, here_ns);
        written_until_ns_ = std::max(written_until_ns_, programmed_ns);
        releases_.push({programmed_ns, std::exchange(open_bytes_, 0)});
      }
      collect(here_ns);
    }
    i += count;
  }
  if (command.fua) {
    const ModelAnswer flushed = flush(done_ns);
    return {std::max(done_ns, flushed.done_ns), flushed.busy_until_ns};
  }
  return {done_ns, std::max(done_ns, written_until_ns_)};
}

ModelAnswer FlashMedia::flush(uint64_t at_ns) {
  if (const auto position = ftl_.pad()) {
    const uint64_t end_ns = program(*position, at_ns);
    written_until_ns_ = std::max(written_until_ns_, end_ns);
    releases_.push({end_ns, std::exchange(open_bytes_, 0)});
    collect(at_ns);
  }
  const uint64_t done_ns = std::max(at_ns, written_until_ns_);
  return {done_ns, done_ns};
}

void FlashMedia::precondition_write(uint64_t offset, uint64_t bytes) {
  for (uint64_t page = offset / 4096; page * 4096 < offset + bytes; page++) {
    ftl_.write(page % ftl_.logical_pages());
    while (ftl_.collect()) continue;
  }
}

MediaTotals FlashMedia::totals() const {
  MediaTotals totals = totals_;
  totals.write_amplification = ftl_.write_amplification();
  return totals;
}

void FlashMedia::reset_counts() {
  ftl_.reset_counts();
  totals_ = {};
}

}  // namespace millrace
