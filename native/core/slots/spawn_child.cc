#include "core/slots/spawn_child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace millrace {

namespace {

constexpr size_t kStackBytes = 64 * 1024;
constexpr int kSignals = 64;
/** Between clone and execve lie some dozen system calls. */
constexpr int kExecMsMax = 500;
/** Above the numbers a child gives its descriptors, so that no dup2 there hits a source of a later one. */
constexpr int kFirstSafeFd = 64;

[[noreturn]] void fail(const std::string& what, int error = errno) { throw std::system_error(error, std::generic_category(), what); }

/** The kernel's own layout: the C library's differs, and its wrapper is not for a process that shares our memory. */
struct KernelSigaction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

struct Start {
  const char* program;
  char** argv;
  char** envp;
  const ChildFd* fds;
  size_t fd_count;
  int error;
  /** In a user namespace made for it: what it may do there has to outlast the exec, or the launcher could leave nothing else. */
  bool own_user_namespace;
};

/** CAP_SYS_ADMIN over its own namespace, handed through execve as an ambient capability. Refused: the slot says what is not in force. */
__attribute__((no_sanitize("address", "thread", "undefined"))) void keep_admin() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  if (::syscall(SYS_capget, &header, data) != 0) return;
  data[0].inheritable |= 1u << CAP_SYS_ADMIN;
  if (::syscall(SYS_capset, &header, data) != 0) return;
  ::syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0);
}

/**
 * Runs in the child, which shares our memory until it is another program: nothing but system calls. We wait for that on a
 * pipe it closes by becoming one; vfork would do it for us, but hang with a child that is stopped before (SIGSTOP).
 * SAFETY: sanitizers must not instrument it, its stack is not theirs.
 */
__attribute__((no_sanitize("address", "thread", "undefined"))) void child_main(Start* start) {
  const KernelSigaction standard{};
  for (int signal = 1; signal <= kSignals; signal++) ::syscall(SYS_rt_sigaction, signal, &standard, nullptr, sizeof(uint64_t));
  for (size_t i = 0; i < start->fd_count; i++)
    if (::syscall(SYS_dup2, start->fds[i].from, start->fds[i].as) < 0) {
      start->error = errno;
      ::syscall(SYS_exit_group, 127);
    }
  if (start->own_user_namespace) keep_admin();
  const uint64_t none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
  ::syscall(SYS_execve, start->program, start->argv, start->envp);
  start->error = errno;
  ::syscall(SYS_exit_group, 127);
}

/**
 * clone(2) by hand: the C library's wrapper is intercepted by sanitizers, which take the child for a fork with memory of its
 * own. Returns the child's pid or -errno once the child was executed or has ended.
 * SAFETY: the child begins on its own stack, calls child_main and never comes back from there.
 */
long clone_child(unsigned long flags, void* stack_top, int* pidfd, Start* start) {
  long result = SYS_clone;
  register long no_child_tid asm("r10") = 0;
  register long no_tls asm("r8") = 0;
  register Start* argument asm("r12") = start;
  register void (*entry)(Start*) asm("r13") = child_main;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r12, %%rdi\n\t"
      "call *%%r13\n\t"
      "ud2\n"
      "1:"
      : "+a"(result)
      : "D"(flags), "S"(stack_top), "d"(pidfd), "r"(no_child_tid), "r"(no_tls), "r"(argument), "r"(entry)
      : "rcx", "r11", "memory", "cc");
  return result;
}

class Stack {
 public:
  Stack() : at_(::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) {
    if (at_ == MAP_FAILED) fail("mmap of a child's stack");
  }
  ~Stack() { ::munmap(at_, kStackBytes); }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  void* top() const { return static_cast<char*>(at_) + kStackBytes; }

 private:
  void* at_;
};

/** In the child until it executes the program or ends: then the other end hangs up. */
struct ExecPipe {
  UniqueFd ours;
  UniqueFd childs;
  ExecPipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) fail("pipe2");
    ours = UniqueFd(fds[0]);
    childs = UniqueFd(fds[1]);
  }
  /** False: the child was kept from going on. */
  bool wait() {
    childs.reset();
    pollfd fd{ours.get(), POLLIN, 0};
    return ::poll(&fd, 1, kExecMsMax) > 0;
  }
};

/** No handler of ours may run in the child while it shares our memory. */
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

Child spawn_child(const std::string& program, char** argv, char** envp, const std::vector<ChildFd>& fds) {
  std::vector<UniqueFd> copies;
  std::vector<ChildFd> sources;
  for (const ChildFd& fd : fds) {
    copies.emplace_back(::fcntl(fd.from, F_DUPFD_CLOEXEC, kFirstSafeFd));
    if (!copies.back()) fail("fcntl F_DUPFD_CLOEXEC");
    sources.push_back({copies.back().get(), fd.as});
  }
  const Stack stack;
  Start start{program.c_str(), argv, envp, sources.data(), sources.size(), 0, false};
  Child child;
  int pidfd = -1;
  long pid = 0;
  constexpr unsigned long kFlags = CLONE_VM | CLONE_PIDFD | SIGCHLD;
  ExecPipe executed;
  bool went_on = true;
  {
    const NoSignals quiet;
    pid = clone_child(kFlags | CLONE_NEWPID, stack.top(), &pidfd, &start);
    // Without the privilege for a namespace, or with their number used up.
    const auto refused = [&] { return pid == -EPERM || pid == -ENOSPC || pid == -EINVAL; };
    // An ordinary user may make one inside a user namespace, where those are allowed.
    if (refused()) {
      start.own_user_namespace = true;
      pid = clone_child(kFlags | CLONE_NEWUSER | CLONE_NEWPID, stack.top(), &pidfd, &start);
    }
    if (refused()) {
      start.own_user_namespace = false;
      pid = clone_child(kFlags, stack.top(), &pidfd, &start);
    }
    // ORDER: our memory is the child's until it executed: nothing below may go before.
    if (pid > 0) went_on = executed.wait();
    if (!went_on) ::kill(static_cast<int>(pid), SIGKILL);
  }
  if (pid < 0) fail("clone", static_cast<int>(-pid));
  child.pid = static_cast<int>(pid);
  child.pidfd = UniqueFd(pidfd);
  if (went_on && start.error == 0) return child;
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  fail("starting " + program, went_on ? start.error : ETIMEDOUT);
}

}  // namespace millrace
