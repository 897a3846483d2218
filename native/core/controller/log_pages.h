#pragma once
#include "core/device/commands.h"

namespace millrace {

/** Get Log Page, every page the device has. NVMe base specification 2.0, 5.16. An event the page clears may answer a waiting request. */
CommandResult get_log_page(Association& association, const wire::Sqe& sqe);

}  // namespace millrace
