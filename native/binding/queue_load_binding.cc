#include "binding/queue_load_binding.h"

#include <algorithm>
#include <bit>

#include "binding/queue_handle.h"
#include "core/queue/queue_load.h"

namespace millrace::binding {

Napi::Value queue_load_sync(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object options = info[1].ToObject();
  const auto number = [&](const char* name) { return options.Get(name).ToNumber().Int64Value(); };
  QueueLoad load;
  load.depth = static_cast<uint32_t>(std::clamp<int64_t>(number("depth"), 1, kIoEntriesMax));
  load.commands = static_cast<uint64_t>(std::max<int64_t>(number("commands"), 0));
  load.nsid = static_cast<uint32_t>(number("nsid"));
  load.blocks = static_cast<uint64_t>(std::max<int64_t>(number("blocks"), 0));
  load.seed = static_cast<uint64_t>(number("seed"));
  try {
    const auto link = ClientLink::connect(info[0].ToString(), "", std::max(kIoEntriesMin, std::bit_ceil(load.depth)), std::max<uint64_t>(kDataBytesMin, load.depth * kBlockBytes));
    return Napi::Number::New(env, static_cast<double>(run_queue_load(*link, load)));
  } catch (const AttachError& error) {
    throw coded_error(env, error.code, error.detail);
  } catch (const std::exception& error) {
    throw coded_error(env, "MR_QUEUE_ARGUMENT", error.what());
  }
}

Napi::Value ring_ping_pong_sync(const Napi::CallbackInfo& info) {
  const int64_t round_trips = std::max<int64_t>(info[0].ToNumber().Int64Value(), 0);
  return Napi::Number::New(info.Env(), static_cast<double>(run_ring_ping_pong(static_cast<uint64_t>(round_trips))));
}

}  // namespace millrace::binding
