#include "core/scan/execution.h"

#include <algorithm>
#include <cstring>

namespace millrace {

namespace {

/** Columns a kernel may put out (pushdown/runtime/arrow-c.ts). */
constexpr uint32_t kOutputColumnsMax = 4096;

uint64_t aligned(uint64_t bytes, uint64_t to) { return (bytes + to - 1) & ~(to - 1); }
bool is_width(uint64_t bytes) { return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8 || bytes == 16; }

}  // namespace

uint32_t Execution::check(const MemoryRanges& ranges, uint32_t wanted, uint32_t& rows) {
  for (const wire::MemoryRange& r : ranges)
    if (r.start % 4 != 0 || r.length % 4 != 0) return wire::kStatusInvalidMemoryRangeSet;
  const auto inputs = std::span(ranges).first(ranges.size() - 1);
  rows = wanted == 0 && !inputs.empty() ? inputs[0].length : wanted;
  if (rows > kHostSlmBytes) return wire::kStatusInvalidField;
  const bool fits = std::all_of(inputs.begin(), inputs.end(), [rows](const wire::MemoryRange& r) { return r.length % rows == 0 && is_width(r.length / rows); });
  return fits ? wire::kStatusSuccess : wire::kStatusInvalidField;
}

uint32_t Execution::take(std::span<const Frame> frames, std::string& why) {
  for (const Frame& frame : frames)
    if (const uint32_t fault = take(frame, why); fault != 0) return fault;
  return 0;
}

uint32_t Execution::take(const Frame& frame, std::string& why) {
  const uint32_t buffers = frame.header.buffer_count;
  auto violation = [&](const char* words) {
    why = words;
    return uint32_t{wire::kGuestFaultAbiViolation};
  };
  if (buffers % 2 != 0 || buffers / 2 > kOutputColumnsMax) return violation("Execute takes columns of fixed width only");
  if (columns_.empty()) columns_.resize(buffers / 2);
  if (columns_.size() != buffers / 2) return violation("the number of output columns changed");
  // The table is copied once: the slot may write another at any time, and the first was only looked at.
  std::vector<uint64_t> bytes(buffers);
  if (buffers > 0) std::memcpy(bytes.data(), frame.body, buffers * sizeof(uint64_t));
  uint64_t at = aligned(buffers * sizeof(uint64_t), kFrameAlign);
  uint64_t total = 0;
  for (uint32_t i = 0; i < buffers; i++) {
    if (bytes[i] > frame.header.body_bytes) return violation("a buffer is longer than its frame");
    const bool validity = i % 2 == 0;
    if (validity && bytes[i] != 0) return violation("Execute takes columns without nulls only");
    const bool whole = frame.header.rows == 0 ? bytes[i] == 0 : bytes[i] % frame.header.rows == 0 && is_width(bytes[i] / frame.header.rows);
    if (!validity && !whole) return violation("Execute takes columns of fixed width only");
    if (!validity) total += aligned(columns_[i / 2].size() + bytes[i], 8);
  }
  if (total > output().length) {
    why = "the output passed the " + std::to_string(output().length) + " bytes of its range";
    return wire::kGuestFaultOutputLimit;
  }
  for (uint32_t i = 1; i < buffers; i += 2) {
    const uint64_t padded = aligned(bytes[i], kFrameAlign);
    if (padded > frame.header.body_bytes || at > frame.header.body_bytes - padded) return violation("its buffers are longer than its frame");
    columns_[i / 2].insert(columns_[i / 2].end(), frame.body + at, frame.body + at + bytes[i]);
    at += padded;
  }
  return 0;
}

std::vector<std::byte> Execution::laid_out() const {
  std::vector<std::byte> laid;
  for (const auto& column : columns_) {
    laid.resize(aligned(laid.size(), 8));
    laid.insert(laid.end(), column.begin(), column.end());
  }
  return laid;
}

}  // namespace millrace
