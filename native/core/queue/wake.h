// How one side of a ring wakes the other. Neither way may ever block the device, whatever the peer does to the file
// description both share: a local client could clear O_NONBLOCK and fill an eventfd, so the device wakes it by a
// MSG_DONTWAIT byte on the attach socket; and it never reads the eventfd a client writes (edge-triggered epoll).
#pragma once
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cstdint>

#include "core/unique_fd.h"

namespace millrace {

class Waker {
 public:
  enum class Kind : uint8_t { kNone, kEventFd, kSocket };
  Waker() = default;
  /** `fd` stays the caller's and must outlive the Waker. */
  static Waker event_fd(int fd) { return Waker(Kind::kEventFd, fd); }
  static Waker socket(int fd) { return Waker(Kind::kSocket, fd); }

  void wake() const {
    if (kind_ == Kind::kEventFd) {
      const uint64_t one = 1;
      [[maybe_unused]] auto n = ::write(fd_, &one, sizeof one);  // EAGAIN: counter full, so the sleeper is awake anyway
    } else if (kind_ == Kind::kSocket) {
      const char byte = 1;
      [[maybe_unused]] auto n = ::send(fd_, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);  // full: unread bytes wake it anyway
    }
  }

 private:
  Waker(Kind kind, int fd) : kind_(kind), fd_(fd) {}
  Kind kind_ = Kind::kNone;
  int fd_ = -1;
};

inline UniqueFd make_event_fd() { return UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

}  // namespace millrace
