// One host over NVMe/TCP: its admin connection, its I/O connections, and the data of their commands. Belongs to one I/O thread.
#pragma once
#include <array>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/device/association.h"
#include "core/tcp/connection.h"
#include "core/tcp/discovery.h"
#include "core/tcp/fabrics.h"

namespace millrace::tcp {

class TcpAssociation final : public Association {
 public:
  static constexpr uint32_t kQueuesMax = kTcpIoQueuesMax + 1;
  /** A connection that ends with words for its host: somebody must wait until they are read. */
  using Farewell = std::function<void(UniqueFd)>;
  /** Finishes an admin command when everything that completed before it, on all namespaces, is durable. */
  using Flush = std::function<void(const std::shared_ptr<Association>&, const wire::Sqe&)>;

  /** `discovery`: the host asked for the discovery controller. Throws std::system_error. */
  TcpAssociation(uint64_t id, const Subsystem& subsystem, const ConnectRequest& request, std::optional<DiscoveryController> discovery, ModuleStore& modules, CompletionGate* gate, Counters& counters, DataBudget& data, Farewell farewell, Flush flush);
  ~TcpAssociation() override;

  const std::string host;
  const std::array<uint8_t, 16> host_id;

  // Any thread.
  /** Whether a host may connect this I/O queue now; then it is taken until its connection is gone. */
  Answer claim_queue(uint16_t queue_id);
  /** An established, idle connection for a claimed queue (0: the admin queue). */
  void hand_over(uint16_t queue_id, std::unique_ptr<Connection> connection);
  /** A claimed queue's connection ended before it was handed over. */
  void give_up_queue(uint16_t queue_id);

  uint32_t queues() const override { return queues_; }
  Fetch fetch(uint32_t queue_id, wire::Sqe& out) override;
  bool has_work() const override;
  void arm() override;
  void disarm() override;
  int wake_fd() const override { return epoll_.get(); }
  void hang_up() override;
  void begin_turn() override;
  void end_turn() override;
  const char* ended_because() const override { return over_because_; }
  std::optional<std::span<std::byte>> data_of(const wire::Sqe& sqe) const override { return Connection::data_of(sqe); }

 protected:
  void post(uint32_t queue_id, uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t host_bytes) override;

 private:
  struct Posted {
    uint16_t queue_id;
    uint16_t cid;
    uint32_t status;
    uint32_t dw0;
    uint32_t dw1;
    uint64_t host_bytes;
  };
  void take_events();
  void take_inbox();
  void take_posted();
  void watch(int fd, uint64_t key);
  void tick();
  /** A connection that ended: its queue, or the association with it. */
  void bury(uint32_t queue_id);
  void drop_io_queues();
  void end(const char* because);
  void start_keep_alive();
  /** nullopt: it completes later. */
  std::optional<Answer> fabrics(uint32_t queue_id, const wire::Sqe& sqe);
  std::optional<Answer> set_property(const wire::Sqe& sqe);
  /** Takes no further command from the queue; its connection ends when what was begun is answered. */
  Answer disconnect(uint32_t queue_id, const wire::Sqe& sqe);

  Counters& counters_;
  Farewell farewell_;
  Flush flush_;
  std::optional<DiscoveryController> discovery_;
  UniqueFd epoll_;
  UniqueFd bell_;
  UniqueFd timer_;

  // I/O thread.
  DataPool pool_;
  std::array<std::unique_ptr<Connection>, kQueuesMax> connections_;
  std::array<bool, kQueuesMax> leaving_{};  // its Disconnect was answered
  uint32_t queues_ = 1;
  bool over_ = false;
  const char* over_because_ = nullptr;
  const uint32_t keep_alive_ms_;  // of Connect
  std::atomic<std::thread::id> thread_{};  // the one that takes turns

  std::atomic<bool> armed_{false};
  std::atomic<bool> mail_{false};  // inbox_ or posted_ may hold something
  std::mutex mutex_;
  std::vector<std::pair<uint16_t, std::unique_ptr<Connection>>> inbox_;
  std::vector<Posted> posted_;
  std::array<bool, kQueuesMax> claimed_{};
  bool ready_ = false;           // CSTS.RDY
  uint32_t io_queues_ = 0;       // granted
};

}  // namespace millrace::tcp
