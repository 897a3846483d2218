// A machine whose clock the vDSO cannot read (some clock sources of virtual machines), made of any: its functions make the system
// call, as they do there. Linked into a slot's addon (slot-variant.ts); as a program (-DMILLRACE_TEST_PROGRAM) it says whether that can be had here.
#include <elf.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

constexpr size_t kPageBytes = 4096;

/** mov eax, number; syscall; ret */
void make_it_call(void* function, uint32_t number) {
  const unsigned char code[] = {0xb8, static_cast<unsigned char>(number), static_cast<unsigned char>(number >> 8), 0, 0, 0x0f, 0x05, 0xc3};
  std::memcpy(function, code, sizeof code);
}

/** How many of the clock functions were changed. */
int take_clocks_from_vdso() {
  const auto base = static_cast<uintptr_t>(::getauxval(AT_SYSINFO_EHDR));
  if (base == 0) return 0;
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(base);
  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(base + header->e_phoff);
  const Elf64_Dyn* dynamic = nullptr;
  uintptr_t bias = base;
  // The section headers come last in the image. Linux splits no mapping of its own: all of it has to be made writable at once.
  uintptr_t bytes = header->e_shoff + uintptr_t{header->e_shnum} * header->e_shentsize;
  for (int i = 0; i < header->e_phnum; i++) {
    bytes = std::max<uintptr_t>(bytes, segments[i].p_offset + segments[i].p_memsz);
    if (segments[i].p_type == PT_LOAD) bias = base + segments[i].p_offset - segments[i].p_vaddr;
    if (segments[i].p_type == PT_DYNAMIC) dynamic = reinterpret_cast<const Elf64_Dyn*>(base + segments[i].p_offset);
  }
  const Elf64_Sym* symbols = nullptr;
  const char* names = nullptr;
  for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
    if (dynamic->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const Elf64_Sym*>(bias + dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_STRTAB) names = reinterpret_cast<const char*>(bias + dynamic->d_un.d_ptr);
  }
  bytes = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  if (!symbols || !names || ::mprotect(reinterpret_cast<void*>(base), bytes, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return 0;
  int changed = 0;
  // The names lie behind the symbols.
  for (const Elf64_Sym* s = symbols; reinterpret_cast<const char*>(s) < names; s++) {
    const char* name = names + s->st_name;
    auto* function = reinterpret_cast<void*>(bias + s->st_value);
    if (std::strcmp(name, "__vdso_clock_gettime") == 0) make_it_call(function, SYS_clock_gettime), changed++;
    if (std::strcmp(name, "__vdso_gettimeofday") == 0) make_it_call(function, SYS_gettimeofday), changed++;
    if (std::strcmp(name, "__vdso_time") == 0) make_it_call(function, SYS_time), changed++;
  }
  return changed;
}

__attribute__((constructor)) void no_vdso() {
  [[maybe_unused]] const int changed = take_clocks_from_vdso();
#ifdef MILLRACE_TEST_PROGRAM
  ::_exit(changed == 3 ? 0 : 2);
#endif
}

}  // namespace

#ifdef MILLRACE_TEST_PROGRAM
int main() { return 1; }
#endif
