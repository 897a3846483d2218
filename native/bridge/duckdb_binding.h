// The JavaScript object behind NativeDuckDB (native/index.ts).
#pragma once
#include <napi.h>

#include <memory>
#include <string>
#include <unordered_map>

#include "bridge/encoder_binding.h"
#include "bridge/host_function_binding.h"
#include "bridge/js_buffers.h"
#include "bridge/promise_work.h"
#include "bridge/session.h"

namespace millrace::bridge {

class DuckBinding : public Napi::ObjectWrap<DuckBinding> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit DuckBinding(const Napi::CallbackInfo& info);
  ~DuckBinding() override;

 private:
  Napi::Value query(const Napi::CallbackInfo& info);
  Napi::Value register_table(const Napi::CallbackInfo& info);
  Napi::Value drop_table(const Napi::CallbackInfo& info);
  Napi::Value register_function(const Napi::CallbackInfo& info);
  void interrupt(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  template <Napi::Value (EncoderTable::*method)(const Napi::CallbackInfo&, PromiseWork&)>
  Napi::Value encoder(const Napi::CallbackInfo& info) {
    return (*encoders_.*method)(info, *work_);
  }

  std::shared_ptr<Session> session_;
  std::unique_ptr<HostFunctions> functions_;
  std::unique_ptr<PromiseWork> work_;
  std::unique_ptr<EncoderTable> encoders_;
  // LIFETIME: JavaScript buffers behind registered tables, let go after the session dropped the table. Shared with the
  // settle functions of work under way, which may outlive this object.
  std::shared_ptr<std::unordered_map<std::string, Pins>> pins_ = std::make_shared<std::unordered_map<std::string, Pins>>();
};

}  // namespace millrace::bridge
