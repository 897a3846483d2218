#include "jail/launcher/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

namespace millrace {

namespace {

// The kernel's interface (include/uapi/linux/landlock.h), listed here because headers are often older than the kernel.
struct Ruleset {
  uint64_t files;
  uint64_t net;     // ABI 4
  uint64_t scoped;  // ABI 6
};
struct __attribute__((packed)) PathBeneath {
  uint64_t allowed;
  int32_t parent_fd;
};
constexpr uint32_t kCreateVersion = 1;
constexpr int kRulePathBeneath = 1;
constexpr uint64_t kExecute = 1u << 0;
constexpr uint64_t kReadFile = 1u << 2;
constexpr uint64_t kReadDir = 1u << 3;

/** Every right of the ABI: execute to make_sym 1, refer 2, truncate 3, ioctl_dev 5. */
uint64_t file_rights(long abi) { return (1ull << (abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13)) - 1; }

bool allow(int ruleset, const std::string& path) {
  const int fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  if (fd < 0) return true;  // not there: nothing to allow
  struct stat status {};
  const bool directory = ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
  const PathBeneath rule{kExecute | kReadFile | (directory ? kReadDir : 0), fd};
  const bool added = ::syscall(SYS_landlock_add_rule, ruleset, kRulePathBeneath, &rule, 0) == 0;
  ::close(fd);
  return added;
}

}  // namespace

bool restrict_by_landlock(const std::vector<std::string>& readable) {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateVersion);
  if (abi < 1) return false;
  const Ruleset rights{file_rights(abi), abi >= 4 ? 3u : 0u, abi >= 6 ? 3u : 0u};
  const size_t size = abi >= 6 ? sizeof rights : abi >= 4 ? offsetof(Ruleset, scoped) : offsetof(Ruleset, net);
  const int ruleset = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rights, size, 0));
  if (ruleset < 0) return false;
  bool complete = true;
  for (const auto& path : readable) complete = complete && allow(ruleset, path);
  const bool restricted = complete && ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  ::close(ruleset);
  return restricted;
}

}  // namespace millrace
