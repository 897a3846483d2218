// Work on a session's thread whose end settles a promise on the event loop.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <string>

#include "bridge/session.h"

namespace millrace::bridge {

class PromiseWork {
 public:
  // One per session, owned by the JavaScript object that wraps it; `keep_owner(true)` is called when the first work starts and
  // `keep_owner(false)` when the last one ended: the owner is not collected, and the event loop lives, exactly in between.
  PromiseWork(Napi::Env env, std::shared_ptr<Session> session, std::function<void(bool)> keep_owner);
  ~PromiseWork();
  PromiseWork(const PromiseWork&) = delete;
  PromiseWork& operator=(const PromiseWork&) = delete;

  // `run` on the session's thread; then, on the event loop, `settle` makes the value the promise resolves to. Either may
  // throw (BridgeError in run): the promise is rejected with { code, message }. `settle` is destroyed on the event loop in every
  // case, so it may own references to JavaScript values.
  template <typename Out>
  Napi::Promise start(Napi::Env env, std::function<Out()> run, std::function<Napi::Value(Napi::Env, Out&)> settle) {
    auto value = std::make_shared<std::unique_ptr<Out>>();
    return post(env, [run = std::move(run), value] { *value = std::make_unique<Out>(run()); },
                [settle = std::move(settle), value](Napi::Env at) { return settle(at, **value); });
  }

  // No more work; what runs is interrupted, what waits is rejected. Does not block.
  void close();

 private:
  struct Job;
  Napi::Promise post(Napi::Env env, std::function<void()> run, std::function<Napi::Value(Napi::Env)> settle);
  static void deliver(Napi::Env env, Job* job);
  static void on_environment_end(void* self);

  std::shared_ptr<Session> session_;
  std::function<void(bool)> keep_owner_;
  napi_env env_;
  bool ended_ = false;
  Napi::ThreadSafeFunction done_;
  size_t outstanding_ = 0;
};

// An Error with `code`, thrown by the caller.
Napi::Error coded_error(Napi::Env env, const std::string& code, const std::string& detail);

}  // namespace millrace::bridge
