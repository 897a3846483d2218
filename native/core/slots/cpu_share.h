// Holds slot processes to a share of a core: CPU time per wall time, all threads together.
//
// In the order tried: a quota by cgroup v2 (cpu.max), by cgroup v1 (cpu.cfs_quota_us), and where neither may be written, a duty
// cycle: the process is stopped and continued so that it runs for its share of each period. A nice value would only act
// while somebody else wants the core (and not at all across sessions where the scheduler groups by session): it is no cap.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/unique_fd.h"

namespace millrace {

enum class CpuShareBy : uint8_t { kCgroup2, kCgroup1, kDutyCycle };
const char* cpu_share_name(CpuShareBy by);

/** Used by one thread. */
class CpuShare {
 public:
  /** Looks for what may be used; `mounts` and `self` stand for /proc/self/mounts and /proc/self/cgroup. Removes what earlier processes of ours left. */
  CpuShare(const std::string& mounts, const std::string& self);
  static CpuShare of_this_machine();
  CpuShare(CpuShare&&) = default;
  ~CpuShare();

  CpuShareBy by() const { return by_; }
  /** From now on the process gets `percent` of a core; 100: no cap. */
  void hold(int pid, uint32_t percent);
  /** It has ended, or may run on freely (it is continued where it was stopped). */
  void release(int pid);
  /** For a moment it runs freely, so that it can do what it is asked: stop its command. */
  void lift(int pid, uint64_t now_ns, uint64_t for_ns);
  /** Does what is due and says when to come again; ~0: never. */
  uint64_t turn(uint64_t now_ns);
  /** Stopped by the duty cycle just now: not a sign of silence. */
  bool holds_still(int pid) const;

  static constexpr uint64_t kPeriodNs = 50'000'000;

 private:
  struct Held {
    uint32_t percent = 0;
    std::string group;  // directory of its cgroup
    bool stopped = false;
    bool lifted = false;
    uint64_t next_ns = 0;
    uint64_t cpu_ns = 0;
    uint64_t period_start_ns = 0;
  };
  bool use_cgroup(const std::string& directory, CpuShareBy by);
  bool set_quota(const Held& held, bool none) const;
  bool enter_group(int pid, Held& held);
  void remove_leftovers(const std::string& directory) const;

  CpuShareBy by_ = CpuShareBy::kDutyCycle;
  std::string base_;  // our own directory below which groups are made
  std::map<int, Held> held_;
};

}  // namespace millrace
