// A test's addon beside the slot's: what a kernel that broke out of WebAssembly and V8 would try next, each attempt as a plain
// system call from the slot's own main thread after the jail was closed.
#include <fcntl.h>
#include <linux/sched.h>
#include <node.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

struct Attempt {
  const char* name;
  long (*make)();
};

char* page() { return static_cast<char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)); }

/** A page mapped read-only and shared from descriptor 6, as the SLM is. */
char* shared_page = nullptr;

const Attempt kAttempts[] = {
    {"open", [] { return ::syscall(SYS_open, "/etc/passwd", O_RDONLY); }},
    {"openat", [] { return ::syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); }},
    {"openat /proc", [] { return ::syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY); }},
    {"openat2", [] { return ::syscall(437, AT_FDCWD, "/etc/passwd", nullptr, 0); }},
    {"creat", [] { return ::syscall(SYS_creat, "/tmp/millrace-never", 0600); }},
    {"readlink /proc", [] { char to[64]; return ::syscall(SYS_readlink, "/proc/self/exe", to, sizeof to); }},
    {"socket", [] { return ::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); }},
    {"socketpair", [] { int fds[2]; return ::syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, fds); }},
    {"connect", [] { return ::syscall(SYS_connect, 3, nullptr, 0); }},
    {"fork", [] { return ::syscall(SYS_fork); }},
    {"vfork", [] { return ::syscall(SYS_vfork); }},
    {"clone", [] { return ::syscall(SYS_clone, 17, 0, 0, 0, 0); }},
    {"clone of a thread", [] { return ::syscall(SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, page() + 4096, 0, 0, 0); }},
    {"clone3", [] { return ::syscall(435, nullptr, 0); }},
    {"execve", [] { return ::syscall(SYS_execve, "/bin/true", nullptr, nullptr); }},
    {"execveat", [] { return ::syscall(SYS_execveat, AT_FDCWD, "/bin/true", nullptr, nullptr, 0); }},
    {"kill", [] { return ::syscall(SYS_kill, ::getppid(), 0); }},
    {"kill everybody", [] { return ::syscall(SYS_kill, -1, 9); }},
    {"tkill", [] { return ::syscall(SYS_tkill, 1, 0); }},
    {"tgkill", [] { return ::syscall(SYS_tgkill, ::getpid(), ::getpid(), 0); }},
    {"pidfd_open", [] { return ::syscall(434, 1, 0); }},
    {"pidfd_send_signal", [] { return ::syscall(424, 3, 9, nullptr, 0); }},
    {"ptrace", [] { return ::syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0); }},
    {"process_vm_readv", [] { return ::syscall(SYS_process_vm_readv, 1, nullptr, 0, nullptr, 0, 0); }},
    {"mmap of a descriptor", [] { return ::syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, 6, 0); }},
    {"mmap of a descriptor, executable", [] { return ::syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 6, 0); }},
    {"mremap of an input page", [] { return ::syscall(SYS_mremap, shared_page, 4096, 8192, MREMAP_MAYMOVE, 0); }},
    {"an input page made writable", [] { return ::syscall(SYS_mprotect, shared_page, 4096, PROT_READ | PROT_WRITE); }},
    {"a write to an input page", [] { *static_cast<volatile char*>(shared_page) = 1; return 0L; }},
    {"a read of an input page is allowed", [] { return static_cast<long>(*static_cast<volatile char*>(shared_page) == '{'); }},
    {"memfd_create", [] { return ::syscall(SYS_memfd_create, "x", 0); }},
    {"shmget", [] { return ::syscall(SYS_shmget, 1, 4096, 0600); }},
    {"userfaultfd", [] { return ::syscall(SYS_userfaultfd, 0); }},
    {"io_uring_setup", [] { return ::syscall(425, 8, page()); }},
    {"bpf", [] { return ::syscall(SYS_bpf, 0, page(), 64); }},
    {"perf_event_open", [] { return ::syscall(SYS_perf_event_open, page(), 0, -1, -1, 0); }},
    {"mount", [] { return ::syscall(SYS_mount, "none", "/", "tmpfs", 0, nullptr); }},
    {"unshare", [] { return ::syscall(SYS_unshare, CLONE_NEWUSER); }},
    {"setns", [] { return ::syscall(SYS_setns, 3, 0); }},
    {"setuid", [] { return ::syscall(SYS_setuid, 0); }},
    {"chroot", [] { return ::syscall(SYS_chroot, "/"); }},
    {"seccomp", [] { return ::syscall(SYS_seccomp, 0, 0, nullptr); }},
    {"prctl: dumpable again", [] { return ::syscall(SYS_prctl, 4, 1, 0, 0, 0); }},
    {"prctl: new privileges", [] { return ::syscall(SYS_prctl, 38, 0, 0, 0, 0); }},
    {"prlimit", [] { return ::syscall(SYS_prlimit64, 0, 7, page(), nullptr); }},
    {"setpriority", [] { return ::syscall(SYS_setpriority, 0, 0, -20); }},
    {"sched_setaffinity", [] { return ::syscall(SYS_sched_setaffinity, 0, 8, page()); }},
    {"ioctl", [] { return ::syscall(SYS_ioctl, 2, 0x5412, page()); }},
    {"dup of a descriptor", [] { return ::syscall(SYS_dup, 4); }},
    {"sendmsg", [] { return ::syscall(SYS_sendmsg, 4, nullptr, 0); }},
    {"clock_nanosleep", [] { timespec t{0, 1}; return ::syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &t, nullptr); }},
    {"sched_yield", [] { return ::syscall(SYS_sched_yield); }},
    {"restart_syscall", [] { return ::syscall(SYS_restart_syscall); }},
    {"rseq", [] { return ::syscall(334, nullptr, 0, 0, 0); }},
    {"set_robust_list", [] { return ::syscall(SYS_set_robust_list, nullptr, 0); }},
    {"exit of a thread", [] { return ::syscall(SYS_exit, 0); }},
    {"prctl: name of a mapping", [] { return ::syscall(SYS_prctl, 0x53564d41, 0, page(), 4096, "x"); }},
    {"getrandom", [] { char to[8]; return ::syscall(SYS_getrandom, to, sizeof to, 0); }},
    {"an x32 call", [] { return ::syscall(0x40000000 | SYS_getpid); }},
};

}  // namespace

namespace {

void prepare(const v8::FunctionCallbackInfo<v8::Value>&) { shared_page = static_cast<char*>(::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, 6, 0)); }

/** attempt(name): says on stderr what came of it and ends. */
void attempt(const v8::FunctionCallbackInfo<v8::Value>& args) {
  const v8::String::Utf8Value name(args.GetIsolate(), args[0]);
  for (const Attempt& a : kAttempts) {
    if (std::strcmp(a.name, *name) != 0) continue;
    errno = 0;
    const long result = a.make();
    const int error = errno;
    const std::string text = result >= 0 ? "done" : "refused " + std::to_string(error);
    [[maybe_unused]] auto n = ::write(2, text.data(), text.size());
    ::_exit(71);
  }
  ::_exit(72);
}

void names(const v8::FunctionCallbackInfo<v8::Value>& args) {
  std::string all;
  for (const Attempt& a : kAttempts) all += std::string(all.empty() ? "" : "\n") + a.name;
  args.GetReturnValue().Set(v8::String::NewFromUtf8(args.GetIsolate(), all.c_str()).ToLocalChecked());
}

}  // namespace

NODE_MODULE_INIT() {
  NODE_SET_METHOD(exports, "prepare", prepare);
  NODE_SET_METHOD(exports, "attempt", attempt);
  NODE_SET_METHOD(exports, "names", names);
  (void)module;
  (void)context;
}
