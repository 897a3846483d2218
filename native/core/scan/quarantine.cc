#include "core/scan/quarantine.h"

#include <algorithm>

namespace millrace {

bool Quarantine::refuses(const Module& module) const {
  if (refused_.load(std::memory_order_acquire) == 0) return false;
  const std::lock_guard lock(mutex_);
  // Digesting a module takes up to 16 ms: only when one of its size is refused at all.
  const bool possible = std::any_of(records_.begin(), records_.end(), [&](const auto& r) { return r.second.bytes == module.bytes.size() && r.second.strikes >= kCrashesMax; });
  if (!possible) return false;
  const auto it = records_.find(sha256(module.bytes));
  return it != records_.end() && it->second.strikes >= kCrashesMax;
}

std::string Quarantine::strike(const Module& module) {
  const Sha256 digest = sha256(module.bytes);
  const std::lock_guard lock(mutex_);
  if (records_.size() >= kCrashRecordsMax && records_.count(digest) == 0) {
    // Whoever has the fewest strikes is forgotten, so that a flood of crashing kernels does not pardon the worst.
    const auto mildest = std::min_element(records_.begin(), records_.end(), [](const auto& a, const auto& b) { return a.second.strikes < b.second.strikes; });
    if (mildest->second.strikes >= kCrashesMax) refused_.fetch_sub(1, std::memory_order_release);
    records_.erase(mildest);
  }
  Record& record = records_.try_emplace(digest, Record{module.bytes.size(), 0}).first->second;
  if (++record.strikes != kCrashesMax) return {};
  refused_.fetch_add(1, std::memory_order_release);
  return hex(digest);
}

std::vector<std::string> Quarantine::refused() const {
  std::vector<std::string> digests;
  const std::lock_guard lock(mutex_);
  for (const auto& [digest, record] : records_)
    if (record.strikes >= kCrashesMax) digests.push_back(hex(digest));
  return digests;
}

}  // namespace millrace
