#pragma once
#include <cstdint>

namespace millrace {

/**
 * The last step before guest code: leaves root if the launcher could not, renews the death signal, closes the descriptors
 * that are no longer needed, installs the filter on every thread. Returns the JailParts in force. Throws std::system_error.
 */
uint32_t seal(int parent_pid, uint32_t parts_by_launcher);

}  // namespace millrace
