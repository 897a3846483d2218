// The system calls a sealed slot may make, each with its reason: without any one of them a slot breaks (the long form of
// test/security/filter-rules.test.ts drops them one at a time). It belongs to exactly the pinned Node (24). Everything that is not listed
// kills the process: among that what only a thread that begins or ends calls (rseq, set_robust_list, exit), for none does any more.
#pragma once
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>

namespace millrace {

enum class Verdict : uint8_t { kAllow, kErrno, kAllowIfArg };

struct SyscallRule {
  uint32_t number;
  Verdict verdict;
  /** kErrno: the error. kAllowIfArg: the error when the condition fails. */
  uint16_t error = 0;
  /** kAllowIfArg: allowed when (low 32 bits of args[arg] & mask) == value. */
  uint8_t arg = 0;
  uint32_t mask = 0;
  uint32_t value = 0;
};

inline constexpr SyscallRule kSlotRules[] = {
    // Waiting, waking, time.
    {SYS_futex, Verdict::kAllow},            // V8 worker threads, the stop thread, mutexes
    {SYS_epoll_pwait, Verdict::kAllow},      // the wait for the next command
    {SYS_read, Verdict::kAllow},             // eventfds: nothing else is open for reading
    {SYS_write, Verdict::kAllow},            // eventfds, and stderr (a pipe) for a last word
    {SYS_clock_gettime, Verdict::kAllow},    // where the vDSO cannot read the machine's clock: V8 ends without an answer

    // Memory. Denials must be ENOMEM: V8 checks for exactly that and aborts on EPERM.
    {SYS_mmap, Verdict::kAllowIfArg, ENOMEM, 3, MAP_ANONYMOUS, MAP_ANONYMOUS},  // no file is ever mapped after sealing
    {SYS_munmap, Verdict::kAllow},
    {SYS_mprotect, Verdict::kAllow},       // JIT pages; V8 needs RWX, so W^X cannot be asked for. And what a host's Execute sees of the SLM
    {SYS_pkey_mprotect, Verdict::kAllow},  // the same where the CPU has protection keys, which keep JIT pages from being written by whoever is not V8
    {SYS_madvise, Verdict::kAllow},        // heap scrubbing, V8's own
    {SYS_brk, Verdict::kAllow},            // an error here would look like success to glibc and corrupt its heap

    // Signals and threads that exist already.
    {SYS_rt_sigprocmask, Verdict::kAllow},
    {SYS_rt_sigreturn, Verdict::kAllow},  // a wasm trap is a SIGSEGV handled in process
    {SYS_getpid, Verdict::kAllow},
    {SYS_gettid, Verdict::kAllow},
    {SYS_sched_getparam, Verdict::kAllow},      // pthread_getschedparam, before a thread waits for a contended lock of abseil
    {SYS_sched_getscheduler, Verdict::kAllow},  // the same
    {SYS_exit_group, Verdict::kAllow},          // the end of a slot whose memory ran out

    // Tried by V8, Node or glibc at odd moments and content with a refusal.
    {SYS_openat, Verdict::kErrno, EPERM},           // /proc/sys/vm/overcommit_memory; abseil: the CPU's frequency
    {SYS_clock_nanosleep, Verdict::kErrno, EPERM},  // abseil measures the frequency then; not EINTR, for it would try again for ever
    {SYS_sched_yield, Verdict::kErrno, EPERM},      // abseil's locks, who looks away while another thread changes one
    {SYS_restart_syscall, Verdict::kErrno, EINTR},  // a timed wait that SIGSTOP and SIGCONT interrupted: it was interrupted
    {SYS_getrandom, Verdict::kErrno, ENOSYS},       // glibc, for a key of its heap: it takes the clock instead
    {SYS_prctl, Verdict::kErrno, EPERM},            // names of threads and mappings
    {SYS_sched_getaffinity, Verdict::kErrno, EPERM},
    {SYS_sched_setscheduler, Verdict::kErrno, EPERM},
    {SYS_sched_setparam, Verdict::kErrno, EPERM},
    {SYS_getpriority, Verdict::kErrno, EPERM},
    {SYS_setpriority, Verdict::kErrno, EPERM},
    {SYS_mremap, Verdict::kErrno, EPERM},
    {SYS_getrusage, Verdict::kErrno, EPERM},
    {SYS_sysinfo, Verdict::kErrno, EPERM},
    {SYS_ioctl, Verdict::kErrno, EPERM},
    {SYS_fstat, Verdict::kErrno, EPERM},
    {SYS_newfstatat, Verdict::kErrno, EPERM},
    {SYS_fcntl, Verdict::kErrno, EPERM},
    {SYS_close, Verdict::kErrno, EPERM},
    {SYS_lseek, Verdict::kErrno, EPERM},
    {SYS_rt_sigaction, Verdict::kErrno, EPERM},
    {SYS_tgkill, Verdict::kErrno, EPERM},  // abort() falls through to its trap instruction
    {SYS_sigaltstack, Verdict::kErrno, EPERM},
    {SYS_prlimit64, Verdict::kErrno, EPERM},
    {SYS_uname, Verdict::kErrno, EPERM},
    {SYS_readlink, Verdict::kErrno, EPERM},
    {SYS_getcwd, Verdict::kErrno, EPERM},
    {SYS_statx, Verdict::kErrno, EPERM},
    {SYS_epoll_ctl, Verdict::kErrno, EPERM},
    {SYS_getsockopt, Verdict::kErrno, EPERM},
    {SYS_getsockname, Verdict::kErrno, EPERM},
};

}  // namespace millrace
