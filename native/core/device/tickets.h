// Who may write which blocks. A ticket is a one-time secret; the grant behind it grows while its holder ingests.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/device/block_ranges.h"

namespace millrace {

class WriteGrant {
 public:
  /** True: the write may run, and `end_write` must follow. */
  bool begin_write(uint64_t slba, uint64_t blocks) {
    const std::lock_guard lock(mutex_);
    if (!ranges_.contains(slba, blocks)) return false;
    in_flight_++;
    return true;
  }
  void end_write();
  void extend(const std::vector<BlockRange>& ranges) {
    const std::lock_guard lock(mutex_);
    for (const BlockRange& range : ranges) ranges_.add(range);
  }
  /** No write begins any more; `quiet` runs once, here or on an I/O thread, when none is in flight either. */
  void revoke(std::function<void()> quiet);

 private:
  std::mutex mutex_;
  BlockRanges ranges_;
  uint32_t in_flight_ = 0;
  std::function<void()> quiet_;
};

/** While it lives, the blocks of one write stay the writer's: a revoked ticket waits for it. */
class WritePermit {
 public:
  /** The daemon's own: everywhere, nobody waits. */
  WritePermit() = default;
  explicit WritePermit(std::shared_ptr<WriteGrant> grant) : grant_(std::move(grant)) {}
  WritePermit(WritePermit&&) noexcept = default;
  WritePermit(const WritePermit&) = delete;
  WritePermit& operator=(const WritePermit&) = delete;
  ~WritePermit() {
    if (grant_) grant_->end_write();
  }

 private:
  std::shared_ptr<WriteGrant> grant_;
};

/** On whose behalf the scans of an association run. */
struct AttachRights {
  uint32_t tenant = 0;
  uint32_t actor = 0;
  /** It may name another tenant per scan. */
  bool acts_for_others = false;
  /** Names of the datasets it may read, by scans and as blocks; nullptr: all. */
  std::shared_ptr<const std::set<std::string>> datasets = nullptr;
  /** It may change keys, values and raw blocks, which all hosts share. */
  bool may_write = true;
};

class Tickets {
 public:
  /** 256 random bits as 64 hex digits. */
  std::string grant(const std::vector<BlockRange>& ranges);
  /** False: no such ticket. */
  bool extend(const std::string& ticket, const std::vector<BlockRange>& ranges);
  /** Whoever attached with it can write nothing any more; `quiet` as WriteGrant::revoke. Unknown tickets are quiet at once. */
  void revoke(const std::string& ticket, std::function<void()> quiet);
  /** Lets one association in on these terms; it writes nothing. Of many that nobody used the oldest are forgotten. */
  std::string grant_attach(AttachRights rights);
  struct Redeemed {
    std::shared_ptr<WriteGrant> grant;
    AttachRights rights;
  };
  /** Once; nullopt: unknown or used. */
  std::optional<Redeemed> redeem(const std::string& ticket);

 private:
  struct Issued {
    std::shared_ptr<WriteGrant> grant;
    bool used = false;
    AttachRights rights;
  };
  static std::string secret();
  std::mutex mutex_;
  std::unordered_map<std::string, Issued> issued_;
  std::deque<std::string> attach_tickets_;  // oldest first
};

}  // namespace millrace
