#include "bridge/host_calls.h"

namespace millrace::bridge {

void HostCalls::on_ask(Ask ask) {
  const std::lock_guard lock(mutex_);
  ask_ = std::move(ask);
}

bool HostCalls::ask(const std::shared_ptr<HostCall>& call) {
  std::unique_lock lock(mutex_);
  if (ended_ || !ask_ || !ask_(call)) return false;
  answered_.wait(lock, [&] { return call->answered || ended_; });
  return call->answered;
}

void HostCalls::answer(HostCall& call) {
  {
    const std::lock_guard lock(mutex_);
    call.answered = true;
  }
  answered_.notify_all();
}

void HostCalls::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  answered_.notify_all();
}

}  // namespace millrace::bridge
