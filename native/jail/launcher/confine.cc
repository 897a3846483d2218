#include "jail/launcher/confine.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>

#include "jail/launcher/landlock.h"
#include "jail/launcher/mounts.h"
#include "jail/slot_contract.h"

namespace millrace {

void die(const char* what) {
  std::fprintf(stderr, "slot_launcher: %s%s%s\n", what, errno ? ": " : "", errno ? std::strerror(errno) : "");
  ::_exit(126);
}

namespace {

constexpr uid_t kNobody = 65534;

void limit(int resource, uint64_t value) {
  const rlimit both{value, value};
  if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &both) != 0) die("setrlimit");
}

// One dataset may come in a thousand files; a hard limit below that stays as it is.
uint64_t ingest_files() {
  rlimit now{};
  if (::getrlimit(RLIMIT_NOFILE, &now) != 0) die("getrlimit");
  constexpr uint64_t kWanted = 4096;
  return now.rlim_max < kWanted ? now.rlim_max : kWanted;
}

void close_others(unsigned keep_fds) {
  const unsigned first = 3 + keep_fds;
  // close_range is Linux 5.9; before it, every number an open descriptor can have.
  if (::syscall(SYS_close_range, first, ~0u, 0) == 0) return;
  const long most = ::sysconf(_SC_OPEN_MAX);
  for (long fd = first; fd < (most > 0 ? most : 65536); fd++) ::close(static_cast<int>(fd));
}

bool has_root() { return ::geteuid() == 0; }

/** Whether nobody could still read what the program needs: a checkout below a closed home directory cannot be left this early. */
bool readable_as_nobody(const std::vector<std::string>& paths) {
  if (::setresgid(static_cast<gid_t>(-1), kNobody, static_cast<gid_t>(-1)) != 0) return false;
  bool readable = ::setresuid(static_cast<uid_t>(-1), kNobody, static_cast<uid_t>(-1)) == 0;
  for (const auto& path : paths) readable = readable && ::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0;
  if (::seteuid(0) != 0 || ::setegid(0) != 0) die("returning from the test identity");
  return readable;
}

/** Not as root, which loses them with its identity: what the supervisor let through for the namespaces ends here. */
void drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) die("PR_CAP_AMBIENT_CLEAR_ALL");
  if (::syscall(SYS_capset, &header, none) != 0) die("capset");
}

bool in_own_user_namespace() {
  // Inside one nobody mapped us into, we are the overflow user; the machine's own maps everybody.
  std::unique_ptr<FILE, decltype(&std::fclose)> map(std::fopen("/proc/self/uid_map", "re"), &std::fclose);
  unsigned long first = 1, outer = 1, count = 0;
  return !map || std::fscanf(map.get(), "%lu %lu %lu", &first, &outer, &count) != 3 || count != 4294967295ul;
}

/**
 * Namespaces without network, shared memory names and host name. Directly where that is allowed (root, or a user namespace
 * the supervisor made), otherwise through a user namespace of its own.
 */
uint32_t leave_namespaces(Profile profile) {
  if (profile == Profile::kIngest) return 0;  // the ingest child reports over a socket it inherited and needs nothing else cut
  const struct { int flag; uint32_t part; } each[] = {{CLONE_NEWNET, kJailNetwork}, {CLONE_NEWIPC, kJailIpc}, {CLONE_NEWUTS, kJailUts}};
  constexpr int kAll = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
  constexpr uint32_t kAllParts = kJailNetwork | kJailIpc | kJailUts;
  if (::unshare(kAll) == 0) return kAllParts;
  if (!has_root() && ::unshare(CLONE_NEWUSER | kAll) == 0) return kAllParts;
  uint32_t parts = 0;
  for (const auto& e : each)
    if (::unshare(e.flag) == 0) parts |= e.part;
  return parts;
}

/** What a program needs to start besides its own package: the dynamic loader's world and what Node asks of the machine. */
const char* const kSystemPaths[] = {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/proc", "/sys/fs/cgroup", "/dev/null", "/dev/urandom"};

/** The directory a program's other files lie in: its npm package where it is in one, else its own directory. */
std::string home_of(const std::string& file) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(file.c_str(), nullptr), &std::free);
  const std::string path = real ? real.get() : file;
  const std::string own = path.substr(0, path.rfind('/') + 1);
  for (std::string at = own; at.size() > 1; at.resize(at.rfind('/', at.size() - 2) + 1))
    if (::access((at + "package.json").c_str(), F_OK) == 0) return at;
  return own;
}

}  // namespace

void confine_and_exec(const Confinement& c, char** argv) {
  errno = 0;
  close_others(c.keep_fds);
  uint32_t parts = 0;
  if (::setsid() >= 0) parts |= kJailSession;
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_DATA, c.data_bytes);
  limit(RLIMIT_NOFILE, c.profile == Profile::kSlot ? 64 : ingest_files());
  if (c.profile == Profile::kSlot) limit(RLIMIT_FSIZE, 0);
  parts |= leave_namespaces(c.profile);
  if (::getpid() == 1) parts |= kJailPids;
  if (c.profile == Profile::kSlot && leave_mounts()) parts |= kJailMounts;
  if (has_root() && c.profile == Profile::kSlot && readable_as_nobody(c.must_read)) {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0) die("leaving root");
    parts |= kJailUid;
  }
  // What capabilities there may still be to win (a set-user-ID file, a bug) are then nobody's over nothing. Not as root: it is
  // left later, which an unmapped user namespace would forbid.
  if (c.profile == Profile::kSlot && !has_root() && (in_own_user_namespace() || ::unshare(CLONE_NEWUSER) == 0)) parts |= kJailUserNamespace;
  if (!has_root()) drop_capabilities();
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("PR_SET_NO_NEW_PRIVS");
  parts |= kJailNoNewPrivs;
  // ORDER: a change of identity clears it, so it comes last; the parent may have gone before it was set.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) die("PR_SET_PDEATHSIG");
  if (parent_gone(c.parent_pid)) ::_exit(0);
  if (c.profile == Profile::kSlot) {
    std::vector<std::string> readable(std::begin(kSystemPaths), std::end(kSystemPaths));
    for (const auto& path : c.must_read) readable.push_back(home_of(path));
    if (restrict_by_landlock(readable)) parts |= kJailLandlock;
  }
  ::setenv("MILLRACE_JAIL", std::to_string(parts).c_str(), 1);
  ::execv(argv[0], argv);
  die(argv[0]);
}

}  // namespace millrace
