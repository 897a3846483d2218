#include "bridge/promise_work.h"

#include <new>

#include "bridge/bridge_error.h"

namespace millrace::bridge {

struct PromiseWork::Job {
  explicit Job(Napi::Env env) : deferred(env) {}
  Napi::Promise::Deferred deferred;
  std::function<void()> run;
  std::function<Napi::Value(Napi::Env)> settle;
  std::string code;  // empty: it went well
  std::string detail;
  PromiseWork* owner = nullptr;
};

Napi::Error coded_error(Napi::Env env, const std::string& code, const std::string& detail) {
  Napi::Error error = Napi::Error::New(env, detail);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

PromiseWork::PromiseWork(Napi::Env env, std::shared_ptr<Session> session, std::function<void(bool)> keep_owner)
    : session_(std::move(session)), keep_owner_(std::move(keep_owner)), env_(env) {
  done_ = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), "millrace-duckdb", 0, 1);
  done_.Unref(env);
  // ORDER: hooks run last in, first out; this one was added after the thread-safe function's own, so the session's thread is
  // joined while the function it calls still exists.
  napi_add_env_cleanup_hook(env, on_environment_end, this);
}

PromiseWork::~PromiseWork() {
  if (ended_) return;
  napi_remove_env_cleanup_hook(env_, on_environment_end, this);
  session_->stop();
  done_.Release();
}

// LIFETIME: an ending environment frees its thread-safe functions before it finalizes objects: releasing ours in the
// destructor would then touch freed memory (seen as an abort or a hang at exit).
void PromiseWork::on_environment_end(void* self) {
  auto* work = static_cast<PromiseWork*>(self);
  work->session_->stop();
  work->ended_ = true;
}

void PromiseWork::close() { session_->close(); }

void PromiseWork::deliver(Napi::Env env, Job* raw) {
  const std::unique_ptr<Job> job(raw);
  // The environment is being torn down: nobody waits any more, and the owner may be gone.
  if (static_cast<napi_env>(env) == nullptr) return;
  const Napi::HandleScope scope(env);
  // LIFETIME: the owner cannot be gone: it is kept while work is outstanding.
  PromiseWork& owner = *job->owner;
  if (--owner.outstanding_ == 0) {
    owner.done_.Unref(env);
    owner.keep_owner_(false);
  }
  try {
    if (job->code.empty()) return job->deferred.Resolve(job->settle(env));
    job->deferred.Reject(coded_error(env, job->code, job->detail).Value());
  } catch (const Napi::Error& error) {
    job->deferred.Reject(error.Value());
  }
}

Napi::Promise PromiseWork::post(Napi::Env env, std::function<void()> run, std::function<Napi::Value(Napi::Env)> settle) {
  auto* job = new Job(env);
  const Napi::Promise promise = job->deferred.Promise();
  job->run = std::move(run);
  job->settle = std::move(settle);
  job->owner = this;
  const bool posted = session_->post([job, session = session_.get()] {
    try {
      if (session->closing()) throw BridgeError("MR_SQL_CLOSED", "this DuckDB is closed");
      job->run();
    } catch (const BridgeError& error) {
      job->code = error.code;
      job->detail = error.what();
    } catch (const std::bad_alloc&) {
      job->code = "MR_SQL_MEMORY";
      job->detail = "no memory left for the result";
    } catch (const std::exception& error) {
      job->code = "MR_INTERNAL";
      job->detail = error.what();
    }
    // A failed call means the environment is ending; the job then leaks its handles on purpose, since they may not be
    // touched from here. LIFETIME: the owner joins this thread before it goes.
    job->owner->done_.NonBlockingCall(job, [](Napi::Env at, Napi::Function, Job* finished) { deliver(at, finished); });
  });
  if (!posted) {
    const std::unique_ptr<Job> dropped(job);
    job->deferred.Reject(coded_error(env, "MR_SQL_CLOSED", "this DuckDB is closed").Value());
    return promise;
  }
  if (outstanding_++ == 0) {
    done_.Ref(env);
    keep_owner_(true);
  }
  return promise;
}

}  // namespace millrace::bridge
