// nvmeTcpLoad of native/index.ts: the native initiator, kept busy off the event loop.
#pragma once
#include <napi.h>

namespace millrace::binding {

Napi::Value tcp_load(const Napi::CallbackInfo& info);

}  // namespace millrace::binding
