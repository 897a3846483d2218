#include "jail/launcher/mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

namespace millrace {

namespace {

// linux/mount.h, which cannot be included beside sys/mount.h with every C library.
struct MountAttributes {
  uint64_t set;
  uint64_t clear;
  uint64_t propagation;
  uint64_t user_namespace_fd;
};
constexpr uint64_t kReadOnly = 1;
constexpr uint64_t kNoSetUserId = 2;
constexpr unsigned kRecursive = 0x8000;  // AT_RECURSIVE

}  // namespace

bool leave_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) return false;
  // Private first: nothing below may reach the machine's own mounts.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  // Refused where the outer /proc is partly hidden (containers): then that one stays, read-only like the rest.
  if (::getpid() == 1) ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  const MountAttributes all{kReadOnly | kNoSetUserId, 0, 0, 0};
  return ::syscall(SYS_mount_setattr, AT_FDCWD, "/", kRecursive, &all, sizeof all) == 0;
}

}  // namespace millrace
