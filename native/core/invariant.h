// Our own bugs, on in production: the process must not go on with a broken belief.
#pragma once
#include <cstdio>
#include <cstdlib>

namespace millrace {

inline void invariant(bool condition, const char* text) {
  if (condition) [[likely]] return;
  std::fprintf(stderr, "millrace: invariant broken: %s\n", text);
  std::abort();
}

}  // namespace millrace
