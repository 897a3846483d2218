// The Keep Alive timer of one controller, traffic based (CTRATT.TBKAS): any command within the timeout keeps it. Looked at
// by the I/O thread, which hands the time in; a command costs one store.
#pragma once
#include <cstdint>

namespace millrace {

class KeepAlive {
 public:
  static constexpr uint64_t kNever = ~0ull;

  void start(uint64_t timeout_ns, uint64_t now_ns) {
    timeout_ns_ = timeout_ns;
    at_ns_ = timeout_ns == 0 ? kNever : now_ns + timeout_ns;
    seen_ = false;
  }
  void stop() {
    timeout_ns_ = 0;
    at_ns_ = kNever;
  }
  void command() { seen_ = true; }
  bool runs() const { return at_ns_ != kNever; }
  /** When to look again. */
  uint64_t next_ns() const { return at_ns_; }
  /** True: nothing came for longer than the timeout, and less than twice as long. */
  bool expired(uint64_t now_ns) {
    if (now_ns < at_ns_) return false;
    if (!seen_) return true;
    seen_ = false;
    at_ns_ = now_ns + timeout_ns_;
    return false;
  }

 private:
  uint64_t timeout_ns_ = 0;
  uint64_t at_ns_ = kNever;
  bool seen_ = false;
};

}  // namespace millrace
