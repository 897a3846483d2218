// Features, events, Abort, Keep Alive: commands on the controller itself.
#pragma once
#include "core/device/commands.h"

namespace millrace {

CommandResult set_features(Association& association, const wire::Sqe& sqe);
CommandResult get_features(const Association& association, const wire::Sqe& sqe);
/** Completes the command itself, now or when something happens. */
void request_event(Association& association, const wire::Sqe& sqe);

}  // namespace millrace
