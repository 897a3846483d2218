// Functions of JavaScript that statements of one DuckDB call.
#pragma once
#include <napi.h>

#include <memory>
#include <vector>

#include "bridge/host_calls.h"
#include "bridge/promise_work.h"
#include "bridge/session.h"

namespace millrace::bridge {

class HostFunctions {
 public:
  HostFunctions(Napi::Env env, std::shared_ptr<Session> session);
  // After the session's thread was joined.
  ~HostFunctions();
  HostFunctions(const HostFunctions&) = delete;
  HostFunctions& operator=(const HostFunctions&) = delete;

  // registerFunction(name, params, result, call) of native/index.ts.
  Napi::Value define(const Napi::CallbackInfo& info, PromiseWork& work);

 private:
  // On the event loop.
  struct Known {
    std::vector<std::string> params;
    std::string result;
    Napi::FunctionReference call;
  };
  using List = std::vector<Known>;
  static void on_environment_end(void* self);
  static void answer(Napi::Env env, const List& list, HostCall& call);

  std::shared_ptr<Session> session_;
  // LIFETIME: calls under way hold it too.
  std::shared_ptr<List> list_ = std::make_shared<List>();
  napi_env env_;
  bool ended_ = false;
  Napi::ThreadSafeFunction ask_;
};

}  // namespace millrace::bridge
