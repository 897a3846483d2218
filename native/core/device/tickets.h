// Who may write which blocks. A ticket is a one-time secret; the grant behind it grows while its holder ingests.
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/device/block_ranges.h"

namespace millrace {

class WriteGrant {
 public:
  bool allows(uint64_t slba, uint64_t blocks) const {
    const std::lock_guard lock(mutex_);
    return ranges_.contains(slba, blocks);
  }
  void extend(const std::vector<BlockRange>& ranges) {
    const std::lock_guard lock(mutex_);
    for (const BlockRange& range : ranges) ranges_.add(range);
  }
  void revoke() {
    const std::lock_guard lock(mutex_);
    ranges_.clear();
  }

 private:
  mutable std::mutex mutex_;
  BlockRanges ranges_;
};

class Tickets {
 public:
  /** 256 random bits as 64 hex digits. */
  std::string grant(const std::vector<BlockRange>& ranges);
  /** False: no such ticket. */
  bool extend(const std::string& ticket, const std::vector<BlockRange>& ranges);
  /** Whoever attached with it can write nothing any more; unknown tickets are no error. */
  void revoke(const std::string& ticket);
  /** The grant, once; nullptr: unknown or used. */
  std::shared_ptr<WriteGrant> redeem(const std::string& ticket);

 private:
  struct Issued {
    std::shared_ptr<WriteGrant> grant;
    bool used = false;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Issued> issued_;
};

}  // namespace millrace
