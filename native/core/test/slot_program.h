#pragma once

namespace millrace::test {

/** What this program is when the supervisor starts it as its slot: takes commands from its ring, never returns. */
int slot_program();

}  // namespace millrace::test
