#include "binding/authentication.h"

#include <cstring>

namespace millrace::binding {

struct AuthenticationBridge::Event {
  uint64_t connection = 0;
  uint64_t exchange = 0;  // 0: the connection is past it, or gone
  std::string host;
  std::string subsystem;
  std::vector<std::byte> message;
};

tcp::Authentication AuthenticationBridge::functions() {
  auto self = shared_from_this();
  return {
      .need = [self](const std::string& host) { return self->hosts_.contains(host) ? tcp::Authentication::Need::kSecret : tcp::Authentication::Need::kStranger; },
      .exchange =
          [self](tcp::Authentication::Exchange exchange, Done done) {
            auto event = std::make_unique<Event>(Event{exchange.id, 0, std::move(exchange.host), std::move(exchange.subsystem), std::move(exchange.message)});
            {
              const std::lock_guard lock(self->mutex_);
              event->exchange = self->next_++;
              if (self->set_) self->waiting_.emplace(event->exchange, std::move(done));
            }
            if (done) return done(tcp::Authentication::Outcome::kFailed, {}, {});  // nobody is there to answer
            self->send(std::move(event));
          },
      .forget = [self](uint64_t connection) { self->send(std::make_unique<Event>(Event{connection, 0, {}, {}, {}})); },
  };
}

void AuthenticationBridge::send(std::unique_ptr<Event> event) {
  const std::lock_guard lock(mutex_);
  if (!set_) return;
  Event* raw = event.release();
  const auto status = callback_.NonBlockingCall(raw, [](Napi::Env env, Napi::Function function, Event* e) {
    const std::unique_ptr<Event> owned(e);
    Napi::Object object = Napi::Object::New(env);
    object.Set("connection", static_cast<double>(e->connection));
    if (e->exchange != 0) {
      object.Set("exchange", static_cast<double>(e->exchange));
      object.Set("host", e->host);
      object.Set("subsystem", e->subsystem);
      auto message = Napi::Uint8Array::New(env, e->message.size());
      std::memcpy(message.Data(), e->message.data(), e->message.size());
      object.Set("message", message);
    }
    function.Call({object});
  });
  if (status != napi_ok) delete raw;
}

void AuthenticationBridge::on_exchange(Napi::Env env, const Napi::Function& callback) {
  end();
  const std::lock_guard lock(mutex_);
  // LIFETIME: as DeviceHandle::on_event.
  callback_ = Napi::ThreadSafeFunction::New(env, callback, "millrace.authentication", 1024, 1, [self = shared_from_this(), mine = ++generation_](Napi::Env) {
    const std::lock_guard ended(self->mutex_);
    if (self->generation_ == mine) self->set_ = false;
  });
  callback_.Unref(env);
  set_ = true;
}

bool AuthenticationBridge::answer(uint64_t exchange, tcp::Authentication::Outcome outcome, std::vector<std::byte> reply, AttachRights rights) {
  Done done;
  {
    const std::lock_guard lock(mutex_);
    const auto it = waiting_.find(exchange);
    if (it == waiting_.end()) return false;
    done = std::move(it->second);
    waiting_.erase(it);
  }
  done(outcome, std::move(reply), std::move(rights));
  return true;
}

void AuthenticationBridge::end() {
  const std::lock_guard lock(mutex_);
  if (set_) callback_.Release();
  set_ = false;
  waiting_.clear();
}

}  // namespace millrace::binding
