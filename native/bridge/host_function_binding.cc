#include "bridge/host_function_binding.h"

#include "bridge/bridge_error.h"
#include "bridge/host_function.h"
#include "bridge/js_buffers.h"

namespace millrace::bridge {

namespace {

struct Posted {
  std::shared_ptr<HostCall> call;
  std::shared_ptr<Session> session;
  std::function<void(Napi::Env, HostCall&)> answer;
};

std::vector<std::string> texts(const Napi::Value& value) {
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), "params must be an array");
  const auto list = value.As<Napi::Array>();
  std::vector<std::string> out;
  for (uint32_t i = 0; i < list.Length(); i++) out.push_back(list.Get(i).ToString().Utf8Value());
  return out;
}

}  // namespace

HostFunctions::HostFunctions(Napi::Env env, std::shared_ptr<Session> session) : session_(std::move(session)), env_(env) {
  ask_ = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "millrace-functions", 0, 1);
  // Whoever waits for a statement keeps the loop alive (PromiseWork).
  ask_.Unref(env);
  napi_add_env_cleanup_hook(env, on_environment_end, this);
  session_->calls().on_ask([this, session = session_.get()](const std::shared_ptr<HostCall>& call) {
    // LIFETIME: this is there as long as a thread of DuckDB that calls is: both are joined before it goes.
    auto* posted = new Posted{.call = call, .session = session_, .answer = [list = list_](Napi::Env at, HostCall& asked) { answer(at, *list, asked); }};
    const napi_status status = ask_.NonBlockingCall(posted, [](Napi::Env at, Napi::Function, Posted* raw) {
      const std::unique_ptr<Posted> mine(raw);
      // The environment is being torn down: HostCalls::end() lets the caller go.
      if (static_cast<napi_env>(at) == nullptr) return;
      const Napi::HandleScope scope(at);
      mine->answer(at, *mine->call);
      mine->session->calls().answer(*mine->call);
    });
    if (status != napi_ok) delete posted;
    return status == napi_ok;
  });
}

HostFunctions::~HostFunctions() {
  if (ended_) return;
  napi_remove_env_cleanup_hook(env_, on_environment_end, this);
  ask_.Release();
}

// LIFETIME: as PromiseWork: releasing a thread-safe function after its environment freed it touches freed memory.
void HostFunctions::on_environment_end(void* self) { static_cast<HostFunctions*>(self)->ended_ = true; }

Napi::Value HostFunctions::define(const Napi::CallbackInfo& info, PromiseWork& work) {
  if (!info[3].IsFunction()) throw Napi::TypeError::New(info.Env(), "call must be a function");
  HostFunction function{.name = info[0].ToString().Utf8Value(), .params = texts(info[1]), .result = info[2].ToString().Utf8Value(), .id = static_cast<uint32_t>(list_->size())};
  list_->push_back({.params = function.params, .result = function.result, .call = Napi::Persistent(info[3].As<Napi::Function>())});
  return work.start<bool>(
      info.Env(),
      [session = session_, function] {
        session->put_function(function);
        return true;
      },
      [](Napi::Env env, bool&) { return env.Undefined(); });
}

/** Calls the function with the buffers of its arguments and takes a copy of what it gives: DuckDB's thread reads it when the loop is elsewhere. */
void HostFunctions::answer(Napi::Env env, const List& list, HostCall& call) {
  try {
    const Known& known = list.at(call.function);
    const Napi::Array buffers = Napi::Array::New(env);
    uint32_t at = 0;
    for (ColumnBuffers& column : call.arguments) {
      buffers.Set(at++, column.validity.size() == 0 ? env.Null() : to_js(env, column.validity));
      if (column.has_offsets) buffers.Set(at++, to_js(env, column.offsets));
      buffers.Set(at++, to_js(env, column.data));
    }
    const Napi::Value given = known.call.Call({Napi::Number::New(env, static_cast<double>(call.rows)), buffers});
    const Napi::Array batches = Napi::Array::New(env, 1);
    batches.Set(0u, given);
    Pins pins;
    std::vector<TableBatch> taken = batches_from_js(batches, pins);
    call.bytes.reserve(taken[0].buffers.size());
    for (Bytes& bytes : taken[0].buffers) {
      if (bytes.data == nullptr) continue;
      // One byte more: an empty buffer is one all the same.
      call.bytes.emplace_back(reinterpret_cast<const char*>(bytes.data), bytes.size).push_back('\0');
      bytes.data = reinterpret_cast<const uint8_t*>(call.bytes.back().data());
    }
    call.result = std::make_unique<const ArrowTable>(std::vector<TableColumn>{{.name = "result", .format = known.result, .has_dictionary = false, .dictionary_offsets = {}, .dictionary_bytes = {}}}, std::move(taken));
  } catch (const Napi::Error& error) {
    call.error = error.Message();
  } catch (const std::exception& error) {
    call.error = error.what();
  }
  if (call.result == nullptr && call.error.empty()) call.error = "the function gave nothing";
}

}  // namespace millrace::bridge
