// What native/binding/addon.cc calls to give the addon its DuckDB part.
#pragma once
#include <napi.h>

namespace millrace {

Napi::Object init_bridge(Napi::Env env, Napi::Object exports);

}  // namespace millrace
