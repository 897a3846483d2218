// The host's end of one NVMe/TCP queue: small, complete enough to test the other end by and to measure it. One thread.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/unique_fd.h"
#include "wire/wire.gen.h"

namespace millrace::tcp {

struct InitiatorError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct InitiatorOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;
  bool header_digest = false;
  bool data_digest = false;
  /** Alignment of data asked of the controller, dwords, 0-based. */
  uint8_t align = 0;
};

struct HostIdentity {
  std::string subsystem;
  std::string host;
  std::array<uint8_t, 16> id{1};
};

class InitiatorQueue {
 public:
  /** Connects, ICReq, ICResp. Throws InitiatorError. */
  explicit InitiatorQueue(const InitiatorOptions& options);

  /** Connect. Its completion: dw0 the controller's id. Throws InitiatorError when the connection ends. */
  wire::Cqe connect(const HostIdentity& identity, uint16_t queue_id, uint32_t entries, uint16_t controller_id, uint32_t keep_alive_ms = 0, bool flow_control = false);

  /** Queues a command; its cid, below the queue's entries and not outstanding, is the caller's. `data` stays until it completed. */
  void submit(wire::Sqe sqe, std::span<std::byte> data);
  /** Sends and receives what can be without waiting, and gives completions. Throws InitiatorError when the connection ends. */
  uint32_t poll(wire::Cqe* out, uint32_t max);
  /** Until the socket can go on, at most so long. False: it took longer. */
  bool wait(int timeout_ms);
  /** One command, to its end. */
  wire::Cqe run(wire::Sqe sqe, std::span<std::byte> data);

  int fd() const { return socket_.get(); }
  /** Bytes of data the completed command got; of the last completion given by cid. */
  uint32_t received(uint16_t cid) const { return commands_[cid].received; }
  /** Fabrics property, at offset. */
  wire::Cqe get_property(uint32_t offset, bool wide);
  wire::Cqe set_property(uint32_t offset, uint32_t value);

 private:
  struct Command {
    std::span<std::byte> data;
    uint32_t received = 0;
    bool outstanding = false;
  };
  void send_some();
  void receive_some();
  void parse();
  bool take_pdu(const std::byte* at, size_t have, size_t& used);
  void put(void* pdu, size_t hlen, std::span<const std::byte> data, bool aligned);
  void complete(const wire::Cqe& cqe);
  void read_exactly(std::byte* to, size_t bytes);

  UniqueFd socket_;
  bool header_digest_ = false;
  bool data_digest_ = false;
  uint32_t controller_align_ = 4;
  uint32_t h2c_bytes_max_ = 4096;
  std::vector<Command> commands_;
  std::vector<wire::Cqe> completed_;
  size_t completed_given_ = 0;

  std::vector<std::byte> out_;
  size_t out_sent_ = 0;
  std::unique_ptr<std::byte[]> in_;
  size_t in_begin_ = 0;
  size_t in_end_ = 0;
  // Data of a C2HData that is under way.
  std::byte* data_to_ = nullptr;
  uint32_t data_left_ = 0;
  uint32_t data_digest_now_ = 0;
  bool digest_due_ = false;
  uint16_t data_cid_ = 0;
  bool data_completes_ = false;
};

}  // namespace millrace::tcp
