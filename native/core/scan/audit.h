// What was run on whose behalf: one record per scan, kept until the daemon fetches it. Bounded; what did not fit is counted.
#pragma once
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/sha256.h"

namespace millrace {

struct AuditRecord {
  uint32_t tenant;
  uint32_t actor;
  uint32_t dataset;
  /** Of the kernel slots ran; absent: the host ran everything. */
  std::optional<Sha256> kernel;
  /** Of a kernel the daemon's side generated: the users' modules in it. Absent: the host brought the kernel. */
  std::optional<std::vector<Sha256>> made_of;
  uint32_t morsels;
  uint32_t morsels_device;
  /** GuestFault or Status of the first morsel that failed; 0: none did. */
  uint32_t fault;
  bool refused;
  uint64_t ran_ns;
};

class AuditTrail {
 public:
  /** True: the first since the last drain(). */
  bool add(AuditRecord record) {
    const std::lock_guard lock(mutex_);
    if (records_.size() >= kRecordsMax) {
      lost_++;
      return false;
    }
    records_.push_back(std::move(record));
    return records_.size() == 1;
  }
  /** Everything since the last call, and how many records did not fit meanwhile. */
  std::pair<std::vector<AuditRecord>, uint64_t> drain() {
    const std::lock_guard lock(mutex_);
    return {std::exchange(records_, {}), std::exchange(lost_, 0)};
  }

 private:
  /** Some seconds of the shortest scans. */
  static constexpr size_t kRecordsMax = 65'536;
  std::mutex mutex_;
  std::vector<AuditRecord> records_;
  uint64_t lost_ = 0;
};

}  // namespace millrace
