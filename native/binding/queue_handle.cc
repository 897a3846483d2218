#include "binding/queue_handle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "core/invariant.h"
#include "core/limits.h"

namespace millrace::binding {

namespace {

Napi::FunctionReference* constructor_of(Napi::Env env) { return env.GetInstanceData<Napi::FunctionReference>(); }

template <typename Handle>
void close_handle(Handle*& handle) {
  if (!handle) return;
  uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* h) { delete reinterpret_cast<Handle*>(h); });
  handle = nullptr;
}

}  // namespace

Napi::Error coded_error(Napi::Env env, const std::string& code, const std::string& detail) {
  Napi::Error error = Napi::Error::New(env, detail);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

void QueueHandle::define(Napi::Env env) {
  const Napi::Function constructor = DefineClass(env, "NativeQueue",
                                                 {
                                                     InstanceAccessor<&QueueHandle::data>("data"),
                                                     InstanceMethod<&QueueHandle::submit>("submit"),
                                                     InstanceMethod<&QueueHandle::add_queue>("addQueue"),
                                                     InstanceMethod<&QueueHandle::remove_queue>("removeQueue"),
                                                     InstanceMethod<&QueueHandle::poll>("poll"),
                                                     InstanceMethod<&QueueHandle::on_completion>("onCompletion"),
                                                     InstanceMethod<&QueueHandle::on_close>("onClose"),
                                                     InstanceMethod<&QueueHandle::ref>("ref"),
                                                     InstanceMethod<&QueueHandle::close>("close"),
                                                 });
  env.SetInstanceData(new Napi::FunctionReference(Napi::Persistent(constructor)));
}

Napi::Object QueueHandle::wrap(Napi::Env env, std::unique_ptr<ClientLink> link) {
  const Napi::Object object = constructor_of(env)->New({});
  Unwrap(object)->open(env, std::move(link));
  return object;
}

QueueHandle::QueueHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

QueueHandle::~QueueHandle() { shut(nullptr); }

void QueueHandle::open(Napi::Env env, std::unique_ptr<ClientLink> link) {
  link_ = std::move(link);
  // LIFETIME: the buffer keeps the mapping itself; JS may hold it long after close().
  auto* keep = new std::shared_ptr<SharedMemory>(link_->memory());
  data_ = Napi::Reference<Napi::ArrayBuffer>::New(
      Napi::ArrayBuffer::New(env, link_->data(), link_->data_bytes(), [](Napi::Env, void*, std::shared_ptr<SharedMemory>* held) { delete held; }, keep), 1);
  batch_ = Napi::Reference<Napi::Uint8Array>::New(Napi::Uint8Array::New(env, kBatch * sizeof(wire::Cqe)), 1);
  context_ = std::make_unique<Napi::AsyncContext>(env, "millrace.queue");

  uv_loop_t* loop = nullptr;
  invariant(napi_get_uv_event_loop(env, &loop) == napi_ok, "an event loop exists");
  readable_ = new uv_poll_t;
  again_ = new uv_idle_t;
  readable_->data = this;
  again_->data = this;
  invariant(uv_poll_init(loop, readable_, link_->wake_fd()) == 0 && uv_idle_init(loop, again_) == 0, "handles of a queue");
  uv_unref(reinterpret_cast<uv_handle_t*>(readable_));
  uv_unref(reinterpret_cast<uv_handle_t*>(again_));
  uv_poll_start(readable_, UV_READABLE | UV_DISCONNECT, [](uv_poll_t* handle, int status, int) {
    auto* self = static_cast<QueueHandle*>(handle->data);
    self->spin_.woke();
    const bool open = status == 0 && self->link_->drain_wake();
    self->pump();
    if (!open && self->link_) self->shut("the device closed the association");
  });
  // Anything that completes from here on wakes the loop; nothing was submitted yet.
  link_->arm();
}

void QueueHandle::shut(const char* reason) {
  if (!link_) return;
  if (uv_has_ref(reinterpret_cast<uv_handle_t*>(readable_))) Unref();
  close_handle(readable_);
  close_handle(again_);
  link_.reset();
  if (shut_callback_) std::exchange(shut_callback_, nullptr)();
  if (reason && !closed_.IsEmpty()) {
    const Napi::HandleScope scope(Env());
    call(closed_, {Napi::String::New(Env(), reason)});
  }
}

Napi::Value QueueHandle::data(const Napi::CallbackInfo&) { return data_.Value(); }

Napi::Value QueueHandle::submit(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const uint32_t queue_id = info[0].As<Napi::Number>().Uint32Value();
  const uint32_t count = info[2].As<Napi::Number>().Uint32Value();
  if (!info[1].IsTypedArray()) throw coded_error(env, "MR_QUEUE_ARGUMENT", "submit(queueId, Uint8Array, count)");
  const auto sqes = info[1].As<Napi::Uint8Array>();
  if (uint64_t{count} * sizeof(wire::Sqe) > sqes.ByteLength()) throw coded_error(env, "MR_QUEUE_ARGUMENT", "the array holds fewer entries than count");
  if (!link_) return Napi::Number::New(env, 0);
  if (!link_->has_queue(queue_id)) throw coded_error(env, "MR_QUEUE_ARGUMENT", "there is no such queue");
  // SAFETY: entries are copied byte by byte into the ring; no alignment is assumed of the array.
  return Napi::Number::New(env, link_->ring(queue_id).submit(reinterpret_cast<const wire::Sqe*>(sqes.Data()), count));
}

void QueueHandle::add_queue(const Napi::CallbackInfo& info) {
  const uint32_t queue_id = info[0].As<Napi::Number>().Uint32Value();
  const int64_t sq = info[1].As<Napi::Number>().Int64Value();
  const int64_t cq = info[2].As<Napi::Number>().Int64Value();
  const uint32_t entries = info[3].As<Napi::Number>().Uint32Value();
  if (!link_) return;
  const auto fits = [this](int64_t at, uint64_t bytes) { return at >= 0 && at % 4096 == 0 && bytes <= link_->data_bytes() && static_cast<uint64_t>(at) <= link_->data_bytes() - bytes; };
  const bool sound = queue_id <= kIoQueuesMax && !link_->has_queue(queue_id) && entries >= 2 && entries <= kIoEntriesMax && std::has_single_bit(entries) &&
                     fits(sq, sizeof(wire::QueueHeader) + uint64_t{entries} * sizeof(wire::Sqe)) && fits(cq, uint64_t{entries} * sizeof(wire::Cqe));
  if (!sound) throw coded_error(info.Env(), "MR_QUEUE_ARGUMENT", "addQueue(new queueId, offset, offset, entries) of rings inside the data region");
  link_->add_queue(queue_id, static_cast<uint64_t>(sq), static_cast<uint64_t>(cq), entries);
  link_->ring(queue_id).arm();  // as the others are: the loop may sleep, and nothing was submitted to this one yet
}

void QueueHandle::remove_queue(const Napi::CallbackInfo& info) {
  if (link_) link_->remove_queue(info[0].As<Napi::Number>().Uint32Value());
}

Napi::Value QueueHandle::poll(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray()) throw coded_error(info.Env(), "MR_QUEUE_ARGUMENT", "poll(Uint8Array)");
  auto into = info[0].As<Napi::Uint8Array>();
  std::array<wire::Cqe, kBatch> cqes;
  const uint32_t n = link_ ? link_->reap(cqes.data(), std::min<uint32_t>(kBatch, static_cast<uint32_t>(into.ByteLength() / sizeof(wire::Cqe)))) : 0;
  std::memcpy(into.Data(), cqes.data(), n * sizeof(wire::Cqe));
  return Napi::Number::New(info.Env(), n);
}

void QueueHandle::on_completion(const Napi::CallbackInfo& info) { completion_ = Napi::Persistent(info[0].As<Napi::Function>()); }

void QueueHandle::on_close(const Napi::CallbackInfo& info) { closed_ = Napi::Persistent(info[0].As<Napi::Function>()); }

void QueueHandle::ref(const Napi::CallbackInfo& info) {
  if (!readable_) return;
  auto* handle = reinterpret_cast<uv_handle_t*>(readable_);
  const bool alive = info[0].ToBoolean();
  if (alive == (uv_has_ref(handle) != 0)) return;
  if (alive) {
    uv_ref(handle);
    Ref();  // LIFETIME: with commands outstanding the loop keeps the object alive, not only its handle
  } else {
    uv_unref(handle);
    Unref();
  }
}

void QueueHandle::close(const Napi::CallbackInfo&) { shut(nullptr); }

void QueueHandle::pump() {
  constexpr int kRoundsMax = 32;
  const Napi::HandleScope scope(Env());
  std::array<wire::Cqe, kBatch> cqes;
  for (int round = 0; link_ && round < kRoundsMax; round++) {
    const uint32_t n = link_->reap(cqes.data(), kBatch);
    if (link_->broken()) return shut("the device broke the ring protocol");
    if (n == 0) {
      // With commands outstanding the next completion may be as near as a sleep is long; JS that has other work waits at most so long.
      const bool outstanding = uv_has_ref(reinterpret_cast<uv_handle_t*>(readable_)) != 0;
      if (outstanding && spin_.wait([this] { return link_->completion_ready(); })) continue;
      if (link_->arm()) return;
      continue;
    }
    if (completion_.IsEmpty()) continue;
    std::memcpy(batch_.Value().Data(), cqes.data(), n * sizeof(wire::Cqe));
    call(completion_, {batch_.Value(), Napi::Number::New(Env(), n)});
  }
  if (!link_) return;
  // JS keeps the ring busy: let timers and sockets have their turn, then go on.
  uv_idle_start(again_, [](uv_idle_t* handle) {
    uv_idle_stop(handle);
    static_cast<QueueHandle*>(handle->data)->pump();
  });
}

void QueueHandle::call(Napi::FunctionReference& callback, const std::vector<napi_value>& arguments) {
  try {
    callback.MakeCallback(Value(), arguments, *context_);
  } catch (const Napi::Error& error) {
    napi_fatal_exception(Env(), error.Value());  // as an exception in any other event callback: 'uncaughtException'
  }
}

}  // namespace millrace::binding
