#include "core/slots/cpu_share.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/model/clock.h"

namespace millrace {

namespace {

constexpr const char* kPrefix = "millrace-";
/** Quotas act per period: a short one has short gaps, and the kernel takes none below 1 ms. */
constexpr uint64_t kQuotaPeriodUs = 20'000;

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool write_file(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

struct Mount {
  std::string at;
  std::string type;
  std::string options;
};

std::vector<Mount> cgroup_mounts(const std::string& text) {
  std::vector<Mount> mounts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string source;
    Mount m;
    words >> source >> m.at >> m.type >> m.options;
    if (m.type == "cgroup" || m.type == "cgroup2") mounts.push_back(std::move(m));
  }
  return mounts;
}

bool lists(const std::string& text, const std::string& word, char separator) {
  std::istringstream words(text);
  for (std::string w; std::getline(words, w, separator);)
    if (w == word) return true;
  return false;
}

/** The process' own group in a hierarchy of /proc/self/cgroup ("" for v2), "/" where it is not named. */
std::string own_group(const std::string& self, const std::string& controller) {
  std::istringstream lines(self);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : lists(controllers, controller, ',')) return line.substr(second + 1);
  }
  return "/";
}

}  // namespace

const char* cpu_share_name(CpuShareBy by) {
  switch (by) {
    case CpuShareBy::kCgroup2: return "cgroup v2 cpu.max";
    case CpuShareBy::kCgroup1: return "cgroup v1 cpu.cfs_quota_us";
    case CpuShareBy::kDutyCycle: return "duty cycle";
  }
  return "";
}

CpuShare CpuShare::of_this_machine() { return {read_file("/proc/self/mounts"), read_file("/proc/self/cgroup")}; }

CpuShare::CpuShare(const std::string& mounts, const std::string& self) {
  const auto all = cgroup_mounts(mounts);
  // The daemon's own group first, then those above it: v2 lets a group with processes have no children with controllers.
  auto try_upwards = [this](const std::string& root, std::string group, CpuShareBy by) {
    for (;;) {
      while (!group.empty() && group.back() == '/') group.pop_back();
      if (use_cgroup(root + group, by)) return true;
      if (group.empty()) return false;
      group.resize(group.rfind('/'));
    }
  };
  for (const Mount& m : all)
    if (m.type == "cgroup2" && try_upwards(m.at, own_group(self, ""), CpuShareBy::kCgroup2)) return;
  for (const Mount& m : all)
    if (m.type == "cgroup" && lists(m.options, "cpu", ',') && try_upwards(m.at, own_group(self, "cpu"), CpuShareBy::kCgroup1)) return;
}

bool CpuShare::use_cgroup(const std::string& directory, CpuShareBy by) {
  const char* file = by == CpuShareBy::kCgroup2 ? "/cpu.max" : "/cpu.cfs_quota_us";
  remove_leftovers(directory);
  const std::string base = directory + "/" + kPrefix + std::to_string(::getpid());
  if (::mkdir(base.c_str(), 0755) != 0 && errno != EEXIST) return false;
  // v2: children have the controller's files only where the parent passes it on.
  if (by == CpuShareBy::kCgroup2) write_file(base + "/cgroup.subtree_control", "+cpu");
  const std::string probe = base + "/probe";
  const bool usable = ::mkdir(probe.c_str(), 0755) == 0 && ::access((probe + file).c_str(), W_OK) == 0 && ::access((probe + "/cgroup.procs").c_str(), W_OK) == 0;
  ::rmdir(probe.c_str());
  if (!usable) {
    ::rmdir(base.c_str());
    return false;
  }
  base_ = base;
  by_ = by;
  return true;
}

/** Groups of daemons that were killed: empty ones can be removed. */
void CpuShare::remove_leftovers(const std::string& directory) const {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(kPrefix, 0) != 0) continue;
    const std::string pid = name.substr(std::char_traits<char>::length(kPrefix));
    if (pid.empty() || !std::all_of(pid.begin(), pid.end(), [](char c) { return c >= '0' && c <= '9'; }) || ::access(("/proc/" + pid).c_str(), F_OK) == 0) continue;
    for (const auto& group : std::filesystem::directory_iterator(entry.path(), ignored))
      if (group.is_directory(ignored)) ::rmdir(group.path().c_str());
    ::rmdir(entry.path().c_str());
  }
}

CpuShare::~CpuShare() {
  for (auto& [pid, held] : held_)
    if (held.stopped) ::kill(pid, SIGCONT);
  for (auto& [pid, held] : held_)
    if (!held.group.empty()) ::rmdir(held.group.c_str());
  if (!base_.empty()) ::rmdir(base_.c_str());
}

bool CpuShare::set_quota(const Held& held, bool none) const {
  const std::string quota = std::to_string(kQuotaPeriodUs * held.percent / 100);
  const std::string period = std::to_string(kQuotaPeriodUs);
  if (by_ == CpuShareBy::kCgroup2) return write_file(held.group + "/cpu.max", (none ? "max" : quota) + " " + period);
  return write_file(held.group + "/cpu.cfs_period_us", period) && write_file(held.group + "/cpu.cfs_quota_us", none ? "-1" : quota);
}

bool CpuShare::enter_group(int pid, Held& held) {
  held.group = base_ + "/slot-" + std::to_string(pid);
  const bool made = ::mkdir(held.group.c_str(), 0755) == 0 || errno == EEXIST;
  const bool set = made && set_quota(held, false);
  // All its threads, those to come included.
  if (set && write_file(held.group + "/cgroup.procs", std::to_string(pid))) return true;
  ::rmdir(held.group.c_str());
  held.group.clear();
  return false;
}

void CpuShare::hold(int pid, uint32_t percent) {
  if (percent >= 100) return;
  Held held;
  held.percent = percent;
  // A group that cannot be made any more (removed by somebody, out of space) leaves the duty cycle.
  if (by_ == CpuShareBy::kDutyCycle || !enter_group(pid, held)) {
    held.next_ns = held.period_start_ns = monotonic_ns();
    held.cpu_ns = process_cpu_ns(pid);
  }
  held_.insert_or_assign(pid, std::move(held));
}

void CpuShare::release(int pid) {
  const auto it = held_.find(pid);
  if (it == held_.end()) return;
  if (it->second.stopped) ::kill(pid, SIGCONT);
  if (!it->second.group.empty()) ::rmdir(it->second.group.c_str());
  held_.erase(it);
}

bool CpuShare::holds_still(int pid) const {
  const auto it = held_.find(pid);
  return it != held_.end() && it->second.stopped;
}

void CpuShare::lift(int pid, uint64_t now_ns, uint64_t for_ns) {
  const auto it = held_.find(pid);
  if (it == held_.end()) return;
  Held& held = it->second;
  held.lifted = true;
  held.next_ns = now_ns + for_ns;
  if (!held.group.empty()) set_quota(held, true);
  else if (held.stopped) ::kill(pid, SIGCONT);
  held.stopped = false;
}

uint64_t CpuShare::turn(uint64_t now_ns) {
  uint64_t next = ~0ull;
  for (auto& [pid, held] : held_) {
    if (held.lifted && now_ns < held.next_ns) {
      next = std::min(next, held.next_ns);
      continue;
    }
    if (held.lifted && !held.group.empty()) set_quota(held, false);
    held.lifted = false;
    if (!held.group.empty()) continue;
    if (now_ns >= held.next_ns) {
      // By CPU time used, not by the clock: one that waits for work is never stopped.
      const uint64_t used = process_cpu_ns(pid) - held.cpu_ns;
      const uint64_t due = used * 100 / held.percent;
      const uint64_t passed = now_ns - held.period_start_ns;
      const bool too_much = due > passed;
      if (too_much != held.stopped) {
        ::kill(pid, too_much ? SIGSTOP : SIGCONT);
        held.stopped = too_much;
      }
      if (!too_much && passed >= kPeriodNs) {
        // What it left unused is not saved up.
        held.period_start_ns = now_ns;
        held.cpu_ns += used;
      }
      held.next_ns = now_ns + (too_much ? std::clamp<uint64_t>(due - passed, 1'000'000, 10 * kPeriodNs) : std::clamp<uint64_t>(kPeriodNs * held.percent / 100, 2'000'000, kPeriodNs));
    }
    next = std::min(next, held.next_ns);
  }
  return next;
}

}  // namespace millrace
