// NativeQueue of native/index.ts: an association as a JS object. Everything here runs on the JS thread.
#pragma once
#include <napi.h>
#include <uv.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/device/client_link.h"
#include "core/queue/adaptive_spin.h"

namespace millrace::binding {

class QueueHandle : public Napi::ObjectWrap<QueueHandle> {
 public:
  static void define(Napi::Env env);
  static Napi::Object wrap(Napi::Env env, std::unique_ptr<ClientLink> link);
  explicit QueueHandle(const Napi::CallbackInfo& info);
  ~QueueHandle() override;

  /** Ends the association from this side; with a reason, JS is told. */
  void shut(const char* reason);
  /** Called when the handle ends, so that its device forgets it. */
  void on_shut(std::function<void()> callback) { shut_callback_ = std::move(callback); }

 private:
  static constexpr uint32_t kBatch = 256;
  void open(Napi::Env env, std::unique_ptr<ClientLink> link);
  Napi::Value data(const Napi::CallbackInfo& info);
  Napi::Value submit(const Napi::CallbackInfo& info);
  void add_queue(const Napi::CallbackInfo& info);
  void remove_queue(const Napi::CallbackInfo& info);
  Napi::Value poll(const Napi::CallbackInfo& info);
  void on_completion(const Napi::CallbackInfo& info);
  void on_close(const Napi::CallbackInfo& info);
  void ref(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  /** Hands completions to JS until none is left, then arms the sleep words. */
  void pump();
  void call(Napi::FunctionReference& callback, const std::vector<napi_value>& arguments);

  std::unique_ptr<ClientLink> link_;
  // LIFETIME: libuv owns handle memory until its close callback ran, so both live on the heap and are deleted there.
  uv_poll_t* readable_ = nullptr;
  uv_idle_t* again_ = nullptr;
  Napi::Reference<Napi::ArrayBuffer> data_;
  Napi::Reference<Napi::Uint8Array> batch_;
  Napi::FunctionReference completion_;
  Napi::FunctionReference closed_;
  std::unique_ptr<Napi::AsyncContext> context_;
  std::function<void()> shut_callback_;
  AdaptiveSpin spin_;
};

/** Throws a JS Error with `code`. */
Napi::Error coded_error(Napi::Env env, const std::string& code, const std::string& detail);

}  // namespace millrace::binding
