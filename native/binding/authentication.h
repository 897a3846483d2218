// Authentication messages of NVMe/TCP hosts, from the listener's thread to JavaScript and back (NativeDevice.onAuthentication).
#pragma once
#include <napi.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "core/tcp/tcp_listener.h"

namespace millrace::binding {

class AuthenticationBridge : public std::enable_shared_from_this<AuthenticationBridge> {
 public:
  /** Hosts that have a secret; every other one is a stranger. */
  explicit AuthenticationBridge(std::set<std::string> hosts) : hosts_(std::move(hosts)) {}

  /** For the listener; keeps this alive. */
  tcp::Authentication functions();

  // JS thread.
  void on_exchange(Napi::Env env, const Napi::Function& callback);
  /** False: no such exchange waits. */
  bool answer(uint64_t exchange, tcp::Authentication::Outcome outcome, std::vector<std::byte> reply, AttachRights rights);
  void end();

 private:
  using Done = tcp::Authentication::Done;
  struct Event;
  void send(std::unique_ptr<Event> event);

  const std::set<std::string> hosts_;
  std::mutex mutex_;
  Napi::ThreadSafeFunction callback_;
  bool set_ = false;
  uint64_t generation_ = 0;
  uint64_t next_ = 1;
  std::map<uint64_t, Done> waiting_;
};

}  // namespace millrace::binding
