// On whose behalf a scan runs: what the tenant's kernels may use, and which kernels those may be.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "core/limits.h"
#include "core/sha256.h"

namespace millrace {

/** Each is enforced; exceeding one is a guest fault that ends that command only. */
struct TenantCaps {
  /** Linear memory of one kernel beside the SLM window; a module may declare half of it. */
  uint64_t heap_bytes = 0;
  /** Wall time of one morsel in a slot. */
  uint32_t deadline_ms = 0;
  /** Wall time of compiling one module. */
  uint32_t compile_ms = kCompileMsDefault;
  /** CPU time per wall time of one slot, all its threads together; 100: no cap. */
  uint32_t cpu_percent = kCpuPercentMax;
  /** All frames of one morsel together. */
  uint64_t output_bytes = kMorselOutputBytesMax;
  /** 0: what V8 takes by itself (984 KiB). */
  uint32_t stack_bytes = 0;
  uint32_t module_bytes = kProgramBytesMax;
  bool operator==(const TenantCaps&) const = default;
  /** Parts that a process is born with. */
  bool same_process(const TenantCaps& o) const { return heap_bytes == o.heap_bytes && cpu_percent == o.cpu_percent && stack_bytes == o.stack_bytes; }
};

struct Tenant {
  uint32_t id = 0;
  std::string name;
  TenantCaps caps;
  /** Absent: any kernel. */
  std::optional<std::set<Sha256>> kernels;
};

/** The device's own tenant is 0: whoever attaches without saying on whose behalf. Any thread. */
inline constexpr uint32_t kOwnTenant = 0;

class TenantTable {
 public:
  explicit TenantTable(TenantCaps own) { set({kOwnTenant, "local", own, std::nullopt}); }
  void set(Tenant tenant) {
    auto shared = std::make_shared<const Tenant>(std::move(tenant));
    const std::lock_guard lock(mutex_);
    tenants_[shared->id] = shared;
  }
  /** nullptr: nobody said who that is. */
  std::shared_ptr<const Tenant> find(uint32_t id) const {
    const std::lock_guard lock(mutex_);
    const auto it = tenants_.find(id);
    return it == tenants_.end() ? nullptr : it->second;
  }
  size_t size() const {
    const std::lock_guard lock(mutex_);
    return tenants_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::map<uint32_t, std::shared_ptr<const Tenant>> tenants_;
};

}  // namespace millrace
