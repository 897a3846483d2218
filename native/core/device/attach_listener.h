// The Unix socket local clients attach to: one thread answers requests and watches attached sockets for their end.
#pragma once
#include <sys/socket.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "core/device/ring_association.h"

namespace millrace {

class AttachListener {
 public:
  struct Attached {
    uint32_t status = wire::kAttachStatusBadRequest;
    std::shared_ptr<RingAssociation> association;
    int memory_fd = -1;
    int doorbell_fd = -1;
    AssociationGeometry geometry{};
    static Attached refused(uint32_t status) {
      Attached attached;
      attached.status = status;
      return attached;
    }
  };
  /** Makes the association (and starts serving it) or says why not. Takes the socket only on success. */
  using Admit = std::function<Attached(const wire::AttachRequest&, UniqueFd& socket)>;
  /** The client closed its socket. */
  using Closed = std::function<void(const std::shared_ptr<RingAssociation>&)>;

  /** Binds `path` with mode 0600; a dead socket file is replaced, a live one refused. Throws std::system_error. */
  AttachListener(std::string path, Admit admit, Closed closed);
  ~AttachListener();
  /** Serves from now on. Apart from the constructor because the callbacks may need the finished object. */
  void start();
  /** Stops watching the association's socket; before it is closed. Any thread. */
  void forget(const std::shared_ptr<RingAssociation>& association);

 private:
  void run();
  void accept_all();
  void serve(int fd);

  std::string path_;
  Admit admit_;
  Closed closed_;
  UniqueFd listen_;
  UniqueFd epoll_;
  UniqueFd stop_;
  std::mutex mutex_;
  std::map<int, UniqueFd> waiting_;  // connected, no request yet; listener thread only
  std::map<int, std::shared_ptr<RingAssociation>> attached_;
  std::thread thread_;
};

}  // namespace millrace
