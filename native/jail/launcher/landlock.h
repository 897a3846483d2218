#pragma once
#include <string>
#include <vector>

namespace millrace {

/**
 * Restricts this process and all it becomes, as far as the kernel's Landlock goes: below `readable` files may be read and
 * executed, nothing may be written anywhere; no TCP, no abstract sockets, no signals to processes outside. Needs
 * no_new_privs. False: the kernel has none, nothing changed.
 */
bool restrict_by_landlock(const std::vector<std::string>& readable);

}  // namespace millrace
