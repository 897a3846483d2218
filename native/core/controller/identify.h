#pragma once
#include "core/device/commands.h"

namespace millrace {

/** Identify, every CNS the device knows. NVMe base specification 2.0, 5.17. */
CommandResult identify(const Association& association, const wire::Sqe& sqe);

}  // namespace millrace
