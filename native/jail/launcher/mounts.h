#pragma once

namespace millrace {

/**
 * Leaves the mount namespace for one in which everything is read-only and without set-user-ID programs; in a
 * PID namespace of its own /proc shows only that. Needs CAP_SYS_ADMIN. False: nothing changed that the process depends on.
 */
bool leave_mounts();

}  // namespace millrace
