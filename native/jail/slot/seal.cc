#include "jail/slot/seal.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <system_error>
#include <vector>

#include "jail/slot/seccomp_rules.h"
#include "jail/slot_contract.h"

namespace millrace {

namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

constexpr uint32_t low_word_of_arg(unsigned arg) { return static_cast<uint32_t>(offsetof(seccomp_data, args) + arg * sizeof(uint64_t)); }

std::vector<sock_filter> assemble() {
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  // x32 calls (bit 30 of the number) are in no rule and so end at the default.
  for (const auto& rule : kSlotRules) {
#ifdef MILLRACE_TEST_DROP_RULE
    if (rule.number == MILLRACE_TEST_DROP_RULE) continue;  // test/security/filter-rules.test.ts: what breaks without it?
#endif
    switch (rule.verdict) {
      case Verdict::kAllow:
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule.number, 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        break;
      case Verdict::kErrno:
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule.number, 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | rule.error));
        break;
      case Verdict::kAllowIfArg:
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule.number, 0, 5));
        program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low_word_of_arg(rule.arg)));
        program.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, rule.mask));
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule.value, 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | rule.error));
        break;
    }
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  return program;
}

}  // namespace

uint32_t seal(int parent_pid, uint32_t parts) {
  if (::geteuid() == 0) {
    // The launcher stayed root because nobody could not have read the program; now everything is loaded.
    constexpr uid_t kNobody = 65534;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0) fail("leaving root");
  }
  parts |= kJailUid;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("PR_SET_NO_NEW_PRIVS");
  parts |= kJailNoNewPrivs;
  // ORDER: a change of identity clears the death signal; the parent may have gone before it was set again.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail("PR_SET_PDEATHSIG");
  if (parent_gone(parent_pid)) ::_exit(0);
  // No core, no ptrace, no look at its memory through /proc by others of its user; execve would set it back, so it is done here.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) fail("PR_SET_DUMPABLE");
  parts |= kJailNotDumpable;
  // The mappings stay; without descriptors nothing can be mapped a second time.
  ::close(kSlotFdRing);
  ::close(kSlotFdSlm);
  auto program = assemble();
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) != 0) fail("installing the seccomp filter");
  return parts | kJailSeccomp;
}

}  // namespace millrace
