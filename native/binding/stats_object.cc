#include "binding/device_handle.h"

namespace millrace::binding {

namespace {

Napi::Value number(Napi::Env env, uint64_t value) { return Napi::Number::New(env, static_cast<double>(value)); }

Napi::Object commands_object(Napi::Env env, const Counters& counters) {
  Napi::Object object = Napi::Object::New(env);
  for (size_t kind = 0; kind < kQueueKindNames.size(); kind++)
    for (size_t command = 0; command < kCommandCount; command++) {
      const uint64_t count = Counters::get(counters.commands[kind][command]);
      if (count > 0) object.Set(std::string(kQueueKindNames[kind]) + "/" + command_name(static_cast<Command>(command)), number(env, count));
    }
  return object;
}

}  // namespace

Napi::Object stats_object(Napi::Env env, const Device& device) {
  const Counters& c = device.counters();
  Napi::Object object = Napi::Object::New(env);
  object.Set("commands", commands_object(env, c));
  object.Set("mediaReadBytes", number(env, Counters::get(c.media_read_bytes)));
  object.Set("mediaWrittenBytes", number(env, Counters::get(c.media_written_bytes)));
  object.Set("executes", number(env, Counters::get(c.executes)));
  object.Set("resultBytes", number(env, Counters::get(c.result_bytes)));
  object.Set("chunkBytes", number(env, Counters::get(c.chunk_bytes)));
  object.Set("associations", number(env, device.associations()));
  return object;
}

}  // namespace millrace::binding
