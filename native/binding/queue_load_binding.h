#pragma once
#include <napi.h>

namespace millrace::binding {

/** queueLoadSync(socketPath, { depth, commands, nsid, blocks, seed, entries }): nanoseconds. Blocks the calling thread. */
Napi::Value queue_load_sync(const Napi::CallbackInfo& info);
/** ringPingPongSync(roundTrips): nanoseconds. Blocks the calling thread. */
Napi::Value ring_ping_pong_sync(const Napi::CallbackInfo& info);

}  // namespace millrace::binding
