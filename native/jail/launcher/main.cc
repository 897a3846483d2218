// slot_launcher: turns a freshly spawned process into the jail a slot (or the ingest child) starts its Node in.
//
//   slot_launcher --profile slot|ingest --parent PID --keep-fds N --data-bytes N [--read PATH]... -- PROGRAM ARGUMENT...
//
// Runs single-threaded between spawn and exec, where namespaces can be left freely. What cannot be had without privilege is
// left out and reported in MILLRACE_JAIL (bits of JailPart); what must hold (descriptors, limits, no_new_privs) ends it.
#include <cstdlib>
#include <string>
#include <vector>

#include "jail/launcher/confine.h"

namespace {

[[noreturn]] void usage() {
  millrace::die("usage: slot_launcher --profile slot|ingest --parent PID --keep-fds N --data-bytes N [--read PATH]... -- PROGRAM ARGUMENT...");
}

uint64_t number(const char* text) {
  char* end = nullptr;
  const uint64_t value = std::strtoull(text, &end, 10);
  if (end == text || *end != 0) usage();
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  millrace::Confinement c;
  int i = 1;
  for (; i + 1 < argc && std::string(argv[i]) != "--"; i += 2) {
    const std::string option = argv[i];
    const std::string value = argv[i + 1];
    if (option == "--profile" && (value == "slot" || value == "ingest")) c.profile = value == "slot" ? millrace::Profile::kSlot : millrace::Profile::kIngest;
    else if (option == "--parent") c.parent_pid = static_cast<int>(number(argv[i + 1]));
    else if (option == "--keep-fds") c.keep_fds = static_cast<unsigned>(number(argv[i + 1]));
    else if (option == "--data-bytes") c.data_bytes = number(argv[i + 1]);
    else if (option == "--read") c.must_read.push_back(value);
    else usage();
  }
  if (i + 1 >= argc || c.parent_pid == 0 || c.data_bytes == 0) usage();
  millrace::confine_and_exec(c, argv + i + 1);
}
