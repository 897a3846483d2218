#pragma once
#include <string>
#include <vector>

#include "core/unique_fd.h"

namespace millrace {

struct ChildFd {
  int from;
  int as;
};

struct Child {
  int pid = 0;
  UniqueFd pidfd;
};

/**
 * Starts a program with exactly these descriptors added to what is inherited, default signal dispositions, nothing blocked;
 * in a PID namespace of its own where the daemon may make one. Does not copy page tables and returns when the program was
 * executed (0.5 ms). Throws std::system_error.
 */
Child spawn_child(const std::string& program, char** argv, char** envp, const std::vector<ChildFd>& fds);

}  // namespace millrace
