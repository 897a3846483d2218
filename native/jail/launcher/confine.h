#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

enum class Profile : uint8_t { kSlot, kIngest };

struct Confinement {
  Profile profile = Profile::kSlot;
  int parent_pid = 0;
  /** Descriptors 0 to 2 + keep_fds stay open, all others are closed. */
  unsigned keep_fds = 0;
  /** RLIMIT_DATA: private writable memory. V8 alone reserves 640 MB of it. */
  uint64_t data_bytes = 0;
  /** Files the program must be able to read after root was left. */
  std::vector<std::string> must_read;
};

[[noreturn]] void die(const char* what);

/** Never returns: executes argv[0] confined, or ends with status 126 and one line on stderr. */
[[noreturn]] void confine_and_exec(const Confinement& confinement, char** argv);

}  // namespace millrace
