// The Error Information log of one controller: the last commands that failed. NVMe base specification 2.0, figure 206.
#pragma once
#include <cstdint>
#include <cstring>
#include <deque>
#include <mutex>
#include <span>

#include "core/limits.h"
#include "wire/wire.gen.h"

namespace millrace {

class ErrorLog {
 public:
  static constexpr size_t kEntryBytes = 64;
  static constexpr uint64_t kNoLba = 0;

  /** Any thread; status as in wire::Status. Queue FFFFh and cid FFFFh: of no command. */
  void record(uint16_t queue_id, uint16_t cid, uint32_t status, uint32_t nsid, uint64_t lba) {
    const std::lock_guard lock(mutex_);
    entries_.push_front({++count_, queue_id, cid, status, nsid, lba});
    if (entries_.size() > kErrorEntriesMax) entries_.pop_back();
  }

  /** The newest first; what is left over stays zero. */
  void fill(std::span<std::byte> page) const {
    const std::lock_guard lock(mutex_);
    size_t at = 0;
    for (const Entry& e : entries_) {
      if (at + kEntryBytes > page.size()) return;
      std::byte* out = page.data() + at;
      const auto status = static_cast<uint16_t>(e.status << 1);
      const uint16_t nowhere = 0xffff;  // the location of the wrong parameter is not told
      std::memcpy(out, &e.count, 8);
      std::memcpy(out + 8, &e.queue_id, 2);
      std::memcpy(out + 10, &e.cid, 2);
      std::memcpy(out + 12, &status, 2);
      std::memcpy(out + 14, &nowhere, 2);
      std::memcpy(out + 16, &e.lba, 8);
      std::memcpy(out + 24, &e.nsid, 4);
      at += kEntryBytes;
    }
  }

 private:
  struct Entry {
    uint64_t count;
    uint16_t queue_id;
    uint16_t cid;
    uint32_t status;
    uint32_t nsid;
    uint64_t lba;
  };
  mutable std::mutex mutex_;
  std::deque<Entry> entries_;
  uint64_t count_ = 0;
};

}  // namespace millrace
