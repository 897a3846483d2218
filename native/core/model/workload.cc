#include "core/model/workload.h"

#include <algorithm>
#include <queue>
#include <stdexcept>
#include <vector>

namespace millrace {

namespace {

/** splitmix64 */
class Sequence {
 public:
  explicit Sequence(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t bound) { return static_cast<uint64_t>(static_cast<unsigned __int128>(next()) * bound >> 64); }
  double share() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

void check(const Workload& w) {
  if (!(w.read_share >= 0 && w.read_share <= 1)) throw std::invalid_argument("readShare must be from 0 to 1");
  if (w.bytes == 0 || w.bytes > 1ull << 30) throw std::invalid_argument("bytes must be from 1 to 1 GiB");
  if (w.threads == 0 || w.threads > 256 || w.depth == 0 || w.depth > 65536) throw std::invalid_argument("threads must be from 1 to 256, depth from 1 to 65536");
  if (w.count == 0 || w.count + w.warm_up > 1ull << 32) throw std::invalid_argument("count must be from 1 to 4294967296");
  if (w.capacity_bytes < 1ull << 20 || w.capacity_bytes > 1ull << 44) throw std::invalid_argument("capacityBytes must be from 1 MiB to 16 TiB");
  if (!(w.precondition >= 0 && w.precondition <= 100)) throw std::invalid_argument("precondition must be from 0 to 100");
  if (w.span_bytes != 0 && (w.span_bytes < w.bytes * (w.pattern == WorkloadPattern::kSequential ? w.threads : 1) || w.span_bytes > w.capacity_bytes)) throw std::invalid_argument("spanBytes must hold one access per thread and lie within the capacity");
}

class Generator {
 public:
  explicit Generator(const Workload& w) : w_(w), span_(w.span_bytes ? w.span_bytes : w.capacity_bytes), random_(w.seed), next_(w.threads, 0) {}
  ModelCommand next(uint32_t thread) {
    ModelCommand c;
    c.op = w_.read_share >= 1 || (w_.read_share > 0 && random_.share() < w_.read_share) ? ModelOp::kRead : ModelOp::kWrite;
    c.port = w_.port;
    c.bytes = w_.bytes;
    c.fua = w_.fua;
    c.store = w_.store;
    c.thread = thread;
    c.threads = w_.threads;
    c.offset = offset(thread);
    return c;
  }

 private:
  uint64_t offset(uint32_t thread) {
    const uint64_t places = std::max<uint64_t>(1, span_ / w_.bytes);
    switch (w_.pattern) {
      case WorkloadPattern::kRandom: return random_.below(places) * w_.bytes;
      case WorkloadPattern::kSequential: {
        const uint64_t own = std::max<uint64_t>(1, places / w_.threads);
        return (thread * own + next_[thread]++ % own) * w_.bytes;
      }
      case WorkloadPattern::kHalves: {
        const uint64_t lines = std::max<uint64_t>(1, span_ / (2 * w_.bytes));
        const uint64_t at = next_[0] % (2 * lines);
        const uint64_t round = next_[0]++ / (2 * lines);
        return (round * lines + at % lines) * 2 * w_.bytes % w_.capacity_bytes + at / lines * w_.bytes;
      }
    }
    return 0;
  }
  const Workload& w_;
  uint64_t span_;
  Sequence random_;
  std::vector<uint64_t> next_;
};

}  // namespace

WorkloadResult run_workload(const ModelSettings& settings, const Workload& w) {
  check(w);
  DeviceModel model(settings, w.capacity_bytes);
  if (w.precondition > 0 && model.media()) {
    Sequence random(w.seed ^ 0x5bd1e995);
    const uint64_t pages = (w.span_bytes ? w.span_bytes : w.capacity_bytes) / 4096;
    const auto writes = static_cast<uint64_t>(w.precondition * static_cast<double>(pages));
    for (uint64_t i = 0; i < writes; i++) model.media()->precondition_write(random.below(pages) * 4096, 4096);
    model.media()->reset_counts();
  }
  // The loop is in its steady state when every slot has begun once.
  const uint64_t outstanding = uint64_t{w.threads} * w.depth;
  const uint64_t warm_up = outstanding > 1 ? std::max<uint64_t>(w.warm_up, outstanding) : w.warm_up;
  Generator generator(w);
  struct Free {
    uint64_t at_ns;
    uint32_t slot;
    bool operator>(const Free& other) const { return at_ns != other.at_ns ? at_ns > other.at_ns : slot > other.slot; }
  };
  std::priority_queue<Free, std::vector<Free>, std::greater<>> free;
  constexpr uint64_t kBeginNs = 1'000'000'000;
  for (uint32_t slot = 0; slot < outstanding; slot++) free.push({kBeginNs, slot});
  WorkloadResult result;
  uint64_t from_ns = kBeginNs;
  uint64_t until_ns = kBeginNs;
  uint64_t read_bytes = 0;
  uint64_t write_bytes = 0;
  result.digest = 14695981039346656037ull;
  for (uint64_t i = 0; i < warm_up + w.count; i++) {
    const Free next = free.top();
    free.pop();
    const ModelCommand command = generator.next(next.slot % w.threads);
    if (i == warm_up) {
      from_ns = next.at_ns;
      if (model.media()) model.media()->reset_counts();
    }
    const uint64_t done_ns = model.complete_ns(command, next.at_ns);
    result.digest = (result.digest ^ done_ns) * 1099511628211ull;
    free.push({done_ns, next.slot});
    if (i < warm_up) continue;
    const bool reads = command.op == ModelOp::kRead;
    (reads ? result.reads : result.writes).add(done_ns - next.at_ns);
    (reads ? read_bytes : write_bytes) += command.bytes;
    until_ns = outstanding == 1 ? done_ns : next.at_ns;
  }
  result.virtual_ns = std::max<uint64_t>(1, until_ns - from_ns);
  // Of several outstanding ones the last begins at until_ns and is not through.
  const double scale = outstanding == 1 ? 1 : static_cast<double>(w.count - 1) / static_cast<double>(w.count);
  const double seconds = static_cast<double>(result.virtual_ns) / 1e9;
  result.commands_per_second = static_cast<double>(w.count) * scale / seconds;
  result.read_bytes_per_second = static_cast<double>(read_bytes) * scale / seconds;
  result.write_bytes_per_second = static_cast<double>(write_bytes) * scale / seconds;
  if (model.media()) result.write_amplification = model.media()->totals().write_amplification;
  result.energy = model.power().energy(until_ns);
  return result;
}

}  // namespace millrace
