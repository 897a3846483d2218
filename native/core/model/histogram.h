// Counts of durations: buckets of a power of two, each in 32 parts (3 % wide). Fixed size, so adding never allocates.
#pragma once
#include <array>
#include <bit>
#include <cstdint>

namespace millrace {

class Histogram {
 public:
  void add(uint64_t ns) {
    count_++;
    sum_ns_ += ns;
    if (ns > max_ns_) max_ns_ = ns;
    counts_[bucket(ns)]++;
  }
  uint64_t count() const { return count_; }
  uint64_t max_ns() const { return max_ns_; }
  double mean_ns() const { return count_ == 0 ? 0 : static_cast<double>(sum_ns_) / static_cast<double>(count_); }
  /** The middle of the bucket below which the share `q` (0..1) lies; never above the maximum. */
  uint64_t quantile_ns(double q) const {
    const auto wanted = static_cast<uint64_t>(q * static_cast<double>(count_));
    uint64_t seen = 0;
    for (uint32_t b = 0; b < kBuckets; b++) {
      seen += counts_[b];
      if (seen > wanted) return middle(b) < max_ns_ ? middle(b) : max_ns_;
    }
    return max_ns_;
  }

 private:
  static constexpr uint32_t kPartBits = 5;
  static constexpr uint32_t kParts = 1u << kPartBits;
  static constexpr uint32_t kBuckets = (64 - kPartBits + 1) * kParts;
  static uint32_t bucket(uint64_t ns) {
    if (ns < kParts) return static_cast<uint32_t>(ns);
    const auto shift = static_cast<uint32_t>(std::bit_width(ns)) - kPartBits - 1;
    return (shift + 1) * kParts + static_cast<uint32_t>(ns >> shift) - kParts;
  }
  static uint64_t middle(uint32_t b) {
    if (b < kParts) return b;
    const uint32_t shift = b / kParts - 1;
    return ((uint64_t{b % kParts} + kParts) << shift) + ((1ull << shift) >> 1);
  }
  uint64_t count_ = 0;
  uint64_t sum_ns_ = 0;
  uint64_t max_ns_ = 0;
  std::array<uint64_t, kBuckets> counts_{};
};

}  // namespace millrace
