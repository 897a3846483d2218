// Where hosts come in: one thread accepts connections, lets each introduce itself (ICReq, Connect, and where a secret is set
// DH-HMAC-CHAP) within a bounded time, and hands it to its association. It also waits for hosts to read why they were refused.
#pragma once
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/tcp/connection.h"
#include "core/tcp/fabrics.h"
#include "core/tcp/tcp_association.h"

namespace millrace::tcp {

/** How hosts prove who they are. Messages are made and checked elsewhere (the control path). */
struct Authentication {
  enum class Need : uint8_t { kNone, kSecret, kStranger };
  /** Whether this host must; kStranger: there is no secret for it. Any thread. Empty: nobody must. */
  std::function<Need(const std::string& host)> need;

  struct Exchange {
    uint64_t id;  // of one connection
    std::string host;
    std::string subsystem;
    std::vector<std::byte> message;
  };
  enum class Outcome : uint8_t { kMore, kProved, kFailed };
  /** rights: with kProved, on whose behalf the host acts from then on. */
  using Done = std::function<void(Outcome, std::vector<std::byte> reply, AttachRights rights)>;
  /** An Authentication Send came: `done` once, from any thread, with what Authentication Receive is to give. */
  std::function<void(Exchange, Done done)> exchange;
  /** The connection is past it, or gone. */
  std::function<void(uint64_t id)> forget;
};

struct TcpSettings {
  /** Numeric address to listen on; empty: no NVMe/TCP. Port 0: any free one. */
  std::string address;
  uint16_t port = 0;
  /** The device's. */
  std::string subsystem;
  /** What the discovery log names; empty: the address a host came in on. */
  std::string advertised_address;
  uint16_t advertised_port = 0;
  Authentication authentication;
};

class TcpListener {
 public:
  struct Device {
    /** A controller id for a host that may come; nullopt: there are as many as there may be. */
    std::function<std::optional<uint64_t>()> reserve;
    /** The host is let in. False: no place was left. */
    std::function<bool(uint64_t id, const ConnectRequest&, AttachRights, std::optional<DiscoveryController>, std::unique_ptr<Connection>)> admit;
    /** Whether hosts may come in that prove nothing; empty: they may. */
    std::function<bool()> open;
    std::function<std::shared_ptr<TcpAssociation>(uint16_t controller_id)> find;
    std::function<uint16_t(uint64_t id)> controller_id;
    /** LIFETIME: outlives the listener and all associations. */
    DataBudget* data = nullptr;
  };

  /** Listens. Throws std::system_error. */
  TcpListener(TcpSettings settings, Device device);
  ~TcpListener();
  void start();

  /** Keeps a connection that was told why it ends until its host closes it. Any thread. */
  void farewell(UniqueFd socket);

  uint16_t port() const { return port_; }
  const TcpSettings& settings() const { return settings_; }
  uint32_t connections() const { return connections_->load(); }

 private:
  struct Guest {
    std::unique_ptr<Connection> connection;
    uint64_t key;
    uint64_t until_ms;
    bool connected = false;  // Connect was answered with success
    bool proving = false;
    bool busy = false;  // an exchange is under way
    uint16_t exchange_cid = 0;
    std::vector<std::byte> reply;  // for Authentication Receive
    bool proved = false;
    bool failed = false;
    AttachRights rights;
    ConnectRequest request;
    uint64_t id = 0;                             // of the controller to come
    std::shared_ptr<TcpAssociation> association;  // of an I/O queue
  };
  struct Leaving {
    UniqueFd socket;
    uint64_t until_ms;
  };

  void run();
  void accept_all();
  void serve(uint64_t key, uint32_t events);
  /** False: the guest is gone, or let in. */
  bool attend(Guest& guest);
  void execute(Guest& guest, const wire::Sqe& sqe);
  Answer connect(Guest& guest, const wire::Sqe& sqe);
  void authentication_send(Guest& guest, const wire::Sqe& sqe);
  void authentication_receive(Guest& guest, const wire::Sqe& sqe);
  bool let_in(Guest& guest);
  Advertised advertised(int socket) const;
  void forget(uint64_t key);
  void take_leave(UniqueFd socket);
  void run_inbox();
  void expire(uint64_t now_ms);
  void post(std::function<void()> task);

  TcpSettings settings_;
  Device device_;
  std::shared_ptr<std::atomic<uint32_t>> connections_ = std::make_shared<std::atomic<uint32_t>>(0);
  UniqueFd listen_;
  uint16_t port_ = 0;
  UniqueFd epoll_;
  UniqueFd wake_;
  std::atomic<bool> stopping_{false};

  /** Tasks for the thread; outlives this, because exchanges may end late. */
  struct Inbox {
    std::mutex mutex;
    bool open = true;
    int wake = -1;
    std::vector<std::function<void()>> tasks;
  };
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();

  // The listener's thread.
  DataPool pool_;
  uint64_t next_key_ = 16;
  std::map<uint64_t, Guest> guests_;  // by key, so the oldest first
  std::map<uint64_t, Leaving> leaving_;
  std::thread thread_;
};

}  // namespace millrace::tcp
