// When a shared wire or bus is busy. Work that comes later but is ready earlier fills the gaps between what was given out
// before, as late requests do in NVMeVirt's 4 us windows; here to the nanosecond instead. Pure: time is an argument.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace millrace {

class Timeline {
 public:
  /** Gives out `need_ns` of the time from `ready_ns` on, in pieces where others hold some of it; returns when the last piece ends. */
  uint64_t take(uint64_t ready_ns, uint64_t need_ns) {
    if (need_ns == 0) return ready_ns;
    auto first = std::lower_bound(busy_.begin(), busy_.end(), ready_ns, [](const Interval& i, uint64_t t) { return i.end_ns < t; });
    uint64_t at_ns = ready_ns;
    uint64_t begin_ns = ready_ns;
    auto last = first;
    // Everything from begin_ns to at_ns is busy when this loop is through: one interval takes the place of all it met.
    for (; last != busy_.end(); ++last) {
      if (last->begin_ns > at_ns) {
        const uint64_t gap_ns = last->begin_ns - at_ns;
        if (gap_ns > need_ns) break;
        need_ns -= gap_ns;
      } else {
        begin_ns = std::min(begin_ns, last->begin_ns);
      }
      at_ns = last->end_ns > at_ns ? last->end_ns : at_ns;
      if (need_ns == 0) {
        const uint64_t done_ns = std::max(ready_ns, last->begin_ns);
        replace(first, last + 1, {begin_ns, at_ns});
        return done_ns;
      }
    }
    const uint64_t done_ns = at_ns + need_ns;
    replace(first, last, {begin_ns, done_ns});
    return done_ns;
  }

  /** Nothing will be ready before this any more. */
  void forget(uint64_t before_ns) {
    if (busy_.empty() || busy_.front().end_ns >= before_ns) return;
    busy_.erase(busy_.begin(), std::lower_bound(busy_.begin(), busy_.end(), before_ns, [](const Interval& i, uint64_t t) { return i.end_ns < t; }));
  }

  /** When the last of what was given out ends. */
  uint64_t end_ns() const { return busy_.empty() ? 0 : busy_.back().end_ns; }
  size_t pieces() const { return busy_.size(); }

 private:
  struct Interval {
    uint64_t begin_ns;
    uint64_t end_ns;
  };
  using Place = std::vector<Interval>::iterator;
  void replace(Place from, Place to, Interval with) {
    if (from == to) {
      busy_.insert(from, with);
      return;
    }
    *from = with;
    busy_.erase(from + 1, to);
  }
  std::vector<Interval> busy_;  // disjoint, not touching, in order
};

/** A Timeline that takes bytes at a rate (0: no limit). */
class Pipe {
 public:
  explicit Pipe(double bytes_per_second = 0) : ns_per_byte_(bytes_per_second > 0 ? 1e9 / bytes_per_second : 0) {}
  /** When the last byte is through. Fractions of a nanosecond are carried on, so that many small passes take as long as one large one. */
  uint64_t pass(uint64_t bytes, uint64_t ready_ns) {
    if (ns_per_byte_ <= 0) return ready_ns;
    if (ready_ns > timeline_.end_ns()) carry_ns_ = 0;
    const double need_ns = static_cast<double>(bytes) * ns_per_byte_ + carry_ns_;
    const auto whole_ns = static_cast<uint64_t>(need_ns);
    carry_ns_ = need_ns - static_cast<double>(whole_ns);
    busy_ns_ += whole_ns;
    return timeline_.take(ready_ns, whole_ns);
  }
  void forget(uint64_t before_ns) { timeline_.forget(before_ns); }
  uint64_t busy_ns() const { return busy_ns_; }

 private:
  double ns_per_byte_;
  double carry_ns_ = 0;
  uint64_t busy_ns_ = 0;
  Timeline timeline_;
};

}  // namespace millrace
