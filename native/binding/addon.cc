// Entry point of millrace.node: each part adds its own functions (NativeAddon of native/index.ts).
#include <napi.h>

#include "binding/device_handle.h"
#include "binding/model_settings.h"
#include "binding/queue_handle.h"
#include "binding/queue_load_binding.h"
#include "binding/tcp_load.h"
#include "bridge/bridge_register.h"
#include "core/crc32c.h"

namespace millrace::binding {

namespace {

Napi::Value attach_device(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object options = info[1].ToObject();
  const Napi::Value ticket = options.Get("ticket");
  const double data_bytes = options.Get("dataBytes").ToNumber().DoubleValue();
  try {
    return QueueHandle::wrap(env, ClientLink::connect(info[0].ToString(), ticket.IsString() ? ticket.As<Napi::String>().Utf8Value() : std::string(), options.Get("entries").ToNumber().Uint32Value(),
                                                      data_bytes > 0 && data_bytes < 9007199254740992.0 ? static_cast<uint64_t>(data_bytes) : 0, options.Get("besideDevice").ToBoolean()));
  } catch (const AttachError& error) {
    throw coded_error(env, error.code, error.detail);
  }
}

Napi::Value crc32c_of(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray()) throw coded_error(info.Env(), "MR_ARGUMENT", "crc32c takes a Uint8Array");
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const uint32_t seed = info[1].IsNumber() ? info[1].As<Napi::Number>().Uint32Value() : 0;
  return Napi::Number::New(info.Env(), crc32c(bytes.Data(), bytes.ByteLength(), seed));
}

}  // namespace

Napi::Object init(Napi::Env env, Napi::Object exports) {
  QueueHandle::define(env);
  // LIFETIME: openDevice keeps the constructor.
  auto device = std::make_shared<Napi::FunctionReference>(Napi::Persistent(DeviceHandle::define(env)));
  device->SuppressDestruct();
  exports.Set("openDevice", Napi::Function::New(env, [device](const Napi::CallbackInfo& info) { return device->New({info[0]}); }, "openDevice"));
  exports.Set("attachDevice", Napi::Function::New(env, attach_device, "attachDevice"));
  exports.Set("queueLoadSync", Napi::Function::New(env, queue_load_sync, "queueLoadSync"));
  exports.Set("ringPingPongSync", Napi::Function::New(env, ring_ping_pong_sync, "ringPingPongSync"));
  exports.Set("nvmeTcpLoad", Napi::Function::New(env, tcp_load, "nvmeTcpLoad"));
  exports.Set("crc32c", Napi::Function::New(env, crc32c_of, "crc32c"));
  exports.Set("simulate", Napi::Function::New(env, simulate, "simulate"));
  exports.Set("modelFields", Napi::Function::New(env, model_fields, "modelFields"));
  return init_bridge(env, exports);
}

}  // namespace millrace::binding

static Napi::Object init(Napi::Env env, Napi::Object exports) { return millrace::binding::init(env, exports); }
NODE_API_MODULE(millrace, init)
