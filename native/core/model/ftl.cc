#include "core/model/ftl.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/invariant.h"

namespace millrace {

Ftl::Ftl(FtlGeometry geometry) : geometry_(geometry), line_pages_(static_cast<uint32_t>(std::min<uint64_t>(geometry.line_pages(), ~0u))) {
  if (geometry.logical_pages == 0 || line_pages_ == 0 || !(geometry.over_provision >= 0)) throw std::invalid_argument("flash: no pages");
  const uint64_t filled = (geometry.logical_pages + line_pages_ - 1) / line_pages_;
  // Two streams write, and collection needs a line to move into: at least so many are spare however little the drive is over-provisioned.
  const uint64_t wanted = static_cast<uint64_t>(std::llround(static_cast<double>(geometry.logical_pages) * (1 + geometry.over_provision) / line_pages_));
  const uint64_t lines = std::max<uint64_t>(wanted, filled + kFreeLinesLow + 3);
  if (lines * line_pages_ >= kNowhere) throw std::invalid_argument("flash: more than 16 TiB");
  map_.resize((geometry.logical_pages + kChunkPages - 1) / kChunkPages);
  owners_.resize(lines);
  valid_.assign(lines, 0);
  for (uint64_t line = 0; line < filled; line++) valid_[line] = static_cast<uint32_t>(std::min<uint64_t>(line_pages_, geometry.logical_pages - line * line_pages_));
  for (uint64_t line = filled; line < lines; line++) free_.push_back(static_cast<uint32_t>(line));
}

uint32_t Ftl::get(uint32_t logical_page) const {
  const auto& chunk = map_[logical_page / kChunkPages];
  return chunk ? chunk[logical_page % kChunkPages] : logical_page;
}

void Ftl::set(uint32_t logical_page, uint32_t position) {
  auto& chunk = map_[logical_page / kChunkPages];
  if (!chunk) {
    chunk = std::make_unique<uint32_t[]>(kChunkPages);
    for (uint32_t i = 0; i < kChunkPages; i++) chunk[i] = logical_page / kChunkPages * kChunkPages + i;
  }
  chunk[logical_page % kChunkPages] = position;
}

uint32_t Ftl::owner(uint32_t position) const {
  const auto& owners = owners_[position / line_pages_];
  return owners ? owners[position % line_pages_] : position;
}

std::optional<uint32_t> Ftl::find(uint64_t logical_page) const {
  const uint32_t position = get(static_cast<uint32_t>(logical_page));
  return position == kNowhere ? std::nullopt : std::optional(position);
}

Ftl::Place Ftl::place(uint32_t position) const {
  const uint32_t in_line = position % line_pages_;
  const uint32_t unit = in_line / geometry_.unit_pages;
  return {unit % geometry_.luns, unit / geometry_.luns * geometry_.unit_pages + in_line % geometry_.unit_pages};
}

uint32_t Ftl::append(Stream stream, uint32_t logical_page) {
  Open& open = open_[stream];
  if (open.line == kNoLine || open.next == line_pages_) {
    invariant(!free_.empty(), "collection keeps a free line");
    open = {free_.front(), 0};
    free_.pop_front();
    if (!owners_[open.line]) owners_[open.line] = std::make_unique<uint32_t[]>(line_pages_);
  }
  const uint32_t position = open.line * line_pages_ + open.next++;
  owners_[open.line][position % line_pages_] = logical_page;
  if (logical_page == kNowhere) return position;
  valid_[open.line]++;
  set(logical_page, position);
  return position;
}

uint32_t Ftl::write(uint64_t logical_page) {
  const auto page = static_cast<uint32_t>(logical_page);
  if (const uint32_t old = get(page); old != kNowhere) valid_[old / line_pages_]--;
  host_pages_++;
  const uint32_t position = append(kHostStream, page);
  owe();
  return position;
}

/** The host's stream took a page: collection pays it back. */
void Ftl::owe() {
  if (collecting_ == kNoLine && free_.size() <= kFreeLinesLow) begin_collecting();
  if (collecting_ != kNoLine) owed_ += moves_per_page_;
}

void Ftl::deallocate(uint64_t logical_page) {
  const auto page = static_cast<uint32_t>(logical_page);
  const uint32_t old = get(page);
  if (old == kNowhere) return;
  valid_[old / line_pages_]--;
  set(page, kNowhere);
}

/** Greedy: the line with the fewest valid pages. */
void Ftl::begin_collecting() {
  std::vector<bool> taken(valid_.size(), false);
  for (const Open& open : open_)
    if (open.line != kNoLine) taken[open.line] = true;
  for (const uint32_t line : free_) taken[line] = true;
  uint32_t best = kNoLine;
  for (uint32_t line = 0; line < valid_.size(); line++)
    if (!taken[line] && (best == kNoLine || valid_[line] < valid_[best])) best = line;
  if (best == kNoLine || valid_[best] >= line_pages_) return;
  collecting_ = best;
  cursor_ = 0;
  owed_ = 0;
  moves_per_page_ = static_cast<double>(valid_[best]) / (line_pages_ - valid_[best]) + 1e-9;
}

std::optional<Ftl::Move> Ftl::collect() {
  for (;;) {
    // Padding takes more than it pays for: with one free line left, collection runs ahead.
    const bool short_of_lines = free_.size() <= 1;
    if (collecting_ == kNoLine && short_of_lines) begin_collecting();
    if (collecting_ == kNoLine || !(owed_ >= 1 || short_of_lines || valid_[collecting_] == 0)) return std::nullopt;
    if (valid_[collecting_] == 0 || cursor_ == line_pages_) {
      free_.push_back(collecting_);
      collecting_ = kNoLine;
      continue;
    }
    const uint32_t from = collecting_ * line_pages_ + cursor_++;
    const uint32_t page = owner(from);
    if (page == kNowhere || page >= geometry_.logical_pages || get(page) != from) continue;
    owed_ -= 1;
    valid_[collecting_]--;
    moved_pages_++;
    return Move{page, from, append(kGcStream, page)};
  }
}

std::optional<uint32_t> Ftl::pad() {
  Open& open = open_[kHostStream];
  if (open.line == kNoLine || open.next % geometry_.unit_pages == 0) return std::nullopt;
  uint32_t position = 0;
  do {
    position = append(kHostStream, kNowhere);
    padded_pages_++;
    owe();
  } while (!ends_unit(position));
  return position;
}

}  // namespace millrace
