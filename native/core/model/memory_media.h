// Byte-addressable media: Optane DC modules, memory behind CXL. Accesses of a few bytes to some kilobytes; lines of
// `lineBytes` on the media, modules interleaved, a small write-combining buffer in each.
#pragma once
#include <unordered_map>
#include <vector>

#include "core/model/media.h"
#include "core/model/settings.h"

namespace millrace {

class MemoryMedia final : public Media {
 public:
  /** Throws std::invalid_argument. */
  MemoryMedia(const MemorySettings& settings, uint64_t capacity_bytes);

  ModelAnswer run(const ModelCommand& command, uint64_t at_ns, ModelLink& link) override;
  MediaTotals totals() const override;
  void reset_counts() override;
  void precondition_write(uint64_t, uint64_t) override {}

 private:
  static constexpr uint64_t kCacheLineBytes = 64;
  /** Partly written lines of a module: which quarters. Slots are reused in place; the victim is the random one of a fixed sequence. */
  struct Buffer {
    std::unordered_map<uint64_t, uint32_t> at;  // line -> slot
    std::vector<uint64_t> lines;
    std::vector<uint64_t> parts;
  };
  struct Module {
    double free_ns = 0;
    Buffer buffer;
    uint64_t stores = 0;
    uint64_t hot_block = ~0ull;
    uint64_t hot_stores = 0;
  };

  struct Thread {
    /** Its own stream of loads, of stores, is free from. */
    double loads_free_ns = 0;
    double stores_free_ns = 0;
    uint64_t last_line = ~0ull;
  };

  double load(Thread& thread, uint64_t offset, uint64_t bytes, double at_ns, double amplification);
  double store(uint64_t offset, uint64_t bytes, ModelStore how, double at_ns, double amplification);
  /** Lines the write-combining buffer sends to the media for a store of a part of a line. */
  double combine(Buffer& buffer, uint64_t line, uint64_t parts);
  double wear(Module& module, uint64_t offset);
  double amplification(uint32_t threads, double most, double power) const;
  Module& module_of(uint64_t offset) { return modules_[offset / static_cast<uint64_t>(s_.interleave_bytes) % modules_.size()]; }
  uint64_t random() { return random_ = random_ * 6364136223846793005ull + 1442695040888963407ull; }

  MemorySettings s_;
  uint64_t capacity_bytes_;
  std::vector<Module> modules_;
  std::vector<Thread> threads_;
  Pipe link_read_;
  Pipe link_write_;
  uint64_t base_ns_ = 0;
  uint64_t forgotten_ns_ = 0;
  uint64_t random_ = 88172645463325252ull;
  double media_written_bytes_ = 0;
  MediaTotals totals_;
};

}  // namespace millrace
