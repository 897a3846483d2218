// Entry point of millrace.node: each part adds its own functions.
#include <napi.h>

#include "bridge/bridge_register.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) { return millrace::init_bridge(env, exports); }

}  // namespace

NODE_API_MODULE(millrace, init)
