// The system calls a sealed slot may make, each with its reason. Established by dropping one at a time (the long form of
// test/security/filter-rules.test.ts) and by a 60 s chaos run with the pinned Node (24): it belongs to exactly that binary.
// Everything that is not listed kills the process.
#pragma once
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>

#ifndef SYS_rseq
#define SYS_rseq 334
#endif

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
    {SYS_sched_yield, Verdict::kAllow},      // V8 spin locks
    {SYS_clock_nanosleep, Verdict::kAllow},  // V8 worker back-off
    {SYS_clock_gettime, Verdict::kAllow},    // when the vDSO cannot answer
    {SYS_restart_syscall, Verdict::kAllow},  // after SIGSTOP and SIGCONT
    {SYS_getrandom, Verdict::kAllow},        // hash seeds

    // Memory. Denials must be ENOMEM: V8 checks for exactly that and aborts on EPERM.
    {SYS_mmap, Verdict::kAllowIfArg, ENOMEM, 3, MAP_ANONYMOUS, MAP_ANONYMOUS},  // no file is ever mapped after sealing
    {SYS_munmap, Verdict::kAllow},
    {SYS_mprotect, Verdict::kAllow},       // JIT pages; V8 needs RWX, so W^X cannot be asked for. And what a host's Execute sees of the SLM
    {SYS_pkey_mprotect, Verdict::kAllow},  // the same where the CPU has protection keys
    {SYS_madvise, Verdict::kAllow},        // heap scrubbing, V8's own
    {SYS_brk, Verdict::kAllow},            // an error here would look like success to glibc and corrupt its heap

    // Signals and threads that exist already.
    {SYS_rt_sigprocmask, Verdict::kAllow},
    {SYS_rt_sigreturn, Verdict::kAllow},  // a wasm trap is a SIGSEGV handled in process
    {SYS_getpid, Verdict::kAllow},
    {SYS_gettid, Verdict::kAllow},
    {SYS_sched_getparam, Verdict::kAllow},      // pthread_getschedparam, before a thread waits for a contended lock of abseil
    {SYS_sched_getscheduler, Verdict::kAllow},  // the same
    {SYS_rseq, Verdict::kAllow},             // a thread still starting when the filter lands
    {SYS_set_robust_list, Verdict::kAllow},  // the same
    {SYS_exit, Verdict::kAllow},
    {SYS_exit_group, Verdict::kAllow},  // the end of a slot whose memory ran out
    {SYS_prctl, Verdict::kAllowIfArg, EPERM, 0, 0xffffffffu, 0x53564d41u},  // PR_SET_VMA: glibc and V8 name their mappings

    // Tried by V8, Node or glibc at odd moments and content with a refusal.
    {SYS_openat, Verdict::kErrno, EPERM},  // /proc/sys/vm/overcommit_memory
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
