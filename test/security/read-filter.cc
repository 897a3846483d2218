// Reads the seccomp filter of a running slot back (root only) and holds it against the list it was made of.
//   read-filter PID: one JSON line {"rules":N,"checked":N,"wrong":[...]}; exit 2: not permitted.
//
// The program is interpreted, not compared with another assembly of the same code: whatever its form, it must say for every
// call, argument and architecture what the list says.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "jail/slot/seccomp_rules.h"

namespace {

using millrace::SyscallRule;
using millrace::Verdict;

uint32_t run(const std::vector<sock_filter>& program, const seccomp_data& data) {
  uint32_t a = 0;
  for (size_t pc = 0; pc < program.size(); pc++) {
    const sock_filter& i = program[pc];
    switch (i.code) {
      case BPF_LD | BPF_W | BPF_ABS: std::memcpy(&a, reinterpret_cast<const char*>(&data) + i.k, sizeof a); break;
      case BPF_ALU | BPF_AND | BPF_K: a &= i.k; break;
      case BPF_JMP | BPF_JEQ | BPF_K: pc += a == i.k ? i.jt : i.jf; break;
      case BPF_JMP | BPF_JA: pc += i.k; break;
      case BPF_RET | BPF_K: return i.k;
      default: std::fprintf(stderr, "instruction %zu has code 0x%x, which no slot filter has\n", pc, i.code); std::exit(1);
    }
  }
  std::fprintf(stderr, "the program ends without a verdict\n");
  std::exit(1);
}

uint32_t listed(const seccomp_data& data) {
  if (data.arch != AUDIT_ARCH_X86_64) return SECCOMP_RET_KILL_PROCESS;
  for (const SyscallRule& rule : millrace::kSlotRules) {
    if (rule.number != static_cast<uint32_t>(data.nr)) continue;
    if (rule.verdict == Verdict::kAllow) return SECCOMP_RET_ALLOW;
    const bool fits = rule.verdict == Verdict::kAllowIfArg && (static_cast<uint32_t>(data.args[rule.arg]) & rule.mask) == rule.value;
    return fits ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | rule.error;
  }
  return SECCOMP_RET_KILL_PROCESS;
}

std::vector<sock_filter> read_back(int pid) {
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0 || ::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) != 0) {
    std::fprintf(stderr, "ptrace: %s\n", std::strerror(errno));
    std::exit(errno == EPERM ? 2 : 1);
  }
  ::waitpid(pid, nullptr, __WALL);
  const long count = ::ptrace(PTRACE_SECCOMP_GET_FILTER, pid, nullptr, nullptr);
  if (count <= 0) {
    std::fprintf(stderr, "PTRACE_SECCOMP_GET_FILTER: %s\n", std::strerror(errno));
    std::exit(errno == EACCES || errno == EPERM || errno == EIO ? 2 : 1);
  }
  std::vector<sock_filter> program(static_cast<size_t>(count));
  ::ptrace(PTRACE_SECCOMP_GET_FILTER, pid, nullptr, program.data());
  if (::ptrace(PTRACE_SECCOMP_GET_FILTER, pid, reinterpret_cast<void*>(1), nullptr) != -1 || errno != ENOENT) std::fprintf(stderr, "there is a second filter\n"), std::exit(1);
  ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
  return program;
}

}  // namespace

int main(int, char** argv) {
  const auto program = read_back(std::atoi(argv[1]));
  std::vector<uint64_t> arguments = {0, 1, ~0ull, 1ull << 32};
  for (const SyscallRule& rule : millrace::kSlotRules)
    if (rule.verdict == Verdict::kAllowIfArg) arguments.insert(arguments.end(), {rule.value, rule.value ^ 1u, rule.value | 1ull << 32, rule.mask, ~uint64_t{rule.mask}, rule.value | 0x10u});
  std::string wrong;
  uint64_t checked = 0;
  for (const uint32_t arch : {uint32_t{AUDIT_ARCH_X86_64}, uint32_t{AUDIT_ARCH_I386}})
    for (const uint32_t bit : {0u, 0x40000000u})
      for (uint32_t number = 0; number < 1024; number++)
        for (const uint64_t argument : arguments)
          for (unsigned at = 0; at < 6; at++) {
            seccomp_data data{};
            data.arch = arch;
            data.nr = static_cast<int>(number | bit);
            data.args[at] = argument;
            checked++;
            if (run(program, data) == listed(data)) continue;
            if (wrong.size() < 2000) wrong += (wrong.empty() ? "" : ",") + std::string("{\"arch\":") + std::to_string(arch) + ",\"nr\":" + std::to_string(data.nr) + ",\"arg\":" + std::to_string(at) + ",\"value\":" + std::to_string(argument) + "}";
          }
  std::printf("{\"rules\":%zu,\"checked\":%llu,\"wrong\":[%s]}\n", std::size(millrace::kSlotRules), static_cast<unsigned long long>(checked), wrong.c_str());
  return 0;
}
