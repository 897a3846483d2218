// One queue of a host: a socket, the PDUs that come and go over it, and the commands under way. Never blocks. Everything here
// belongs to one thread at a time: the listener's until the host has introduced itself, then its association's I/O thread.
#pragma once
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/tcp/data_pool.h"
#include "core/tcp/pdu.h"
#include "core/unique_fd.h"
#include "wire/wire.gen.h"

namespace millrace::tcp {

class Connection {
 public:
  enum class State : uint8_t { kOpen, kHostLeft, kBroken };

  /** A connected socket. `pool` holds the data of commands; `place` is kept as long as this lives. */
  Connection(UniqueFd socket, DataPool& pool, std::shared_ptr<void> place);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /** After Connect: how many commands may be outstanding, and whether the host wants SQHD. */
  void establish(uint16_t queue_id, uint32_t entries, bool flow_control);
  /** To another thread's pool; only while idle(). */
  void use_pool(DataPool& pool) { pool_ = &pool; }
  /** No command under way, nothing unsent. */
  bool idle() const { return outstanding_ == 0 && out_.empty(); }

  /** The socket became readable (`closing`: its end is among what is to be read) or writable. */
  void readable(bool closing) {
    readable_ = true;
    closing_ |= closing;
  }
  void writable() { writable_ = true; }
  bool wants_read() const { return readable_ && !blocked_ && control_left_ == 0 && state_ == State::kOpen; }

  /** Takes in what came, as much as one turn may. Gives the bytes taken. */
  uint64_t receive();
  /** Commands that waited for memory. */
  void retry();
  bool starved() const { return blocked_ || !starved_.empty(); }

  bool has_next() const { return ready_head_ != ready_tail_ && unsent_bytes_ < kTcpUnsentBytesMax && state_ == State::kOpen; }
  /** A command whose data is all there. prp1 and prp2 are address and length of its data in memory of this side. */
  bool next(wire::Sqe& out);
  /** What data() may be asked for. */
  static std::span<std::byte> data_of(const wire::Sqe& sqe) {
    // SAFETY: next() wrote them; they are of this side, never the host's.
    return {reinterpret_cast<std::byte*>(static_cast<uintptr_t>(sqe.prp1)), static_cast<size_t>(sqe.prp2)};
  }

  /** Queues the answer to a command next() gave, with the first `host_bytes` of its data. */
  void finish(uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t host_bytes);
  /** Sends what is queued, as far as the socket takes it. */
  void flush();
  bool unsent() const { return !out_.empty() || control_left_ > 0; }
  /** flush() would get on. */
  bool wants_flush() const { return writable_ && unsent() && state_ != State::kHostLeft; }

  /** Milliseconds since it stopped in the middle of something that is the host's to go on with; 0: it did not. */
  uint64_t stalled_ms(uint64_t now_ms);

  State state() const { return state_; }
  /** Of a kBroken connection. */
  const Fault& fault() const { return fault_; }
  /** Ends it: the host broke the protocol, and is told by a C2HTermReq. */
  void refuse(Fault fault);
  /** Ends it without a word. */
  void drop() { if (state_ == State::kOpen) state_ = State::kHostLeft; }
  int fd() const { return socket_.get(); }
  UniqueFd release_socket() { return std::move(socket_); }
  /** Commands next() gave that are not finished: they may still touch their data. */
  uint32_t running() const { return running_; }
  bool initialized() const { return initialized_; }

  /** Bytes over the socket. */
  uint64_t in_bytes() const { return in_bytes_; }
  uint64_t out_bytes() const { return out_bytes_; }

 private:
  struct Slot {
    wire::Sqe sqe{};
    std::byte* data = nullptr;
    uint32_t data_length = 0;
    uint32_t gathered = 0;
    uint32_t refused = 0;  // status the transport gives itself
    bool by_r2t = false;
    bool running = false;  // next() gave it
    // The answer: header of C2HData, payload, trailer (its digest, response capsule).
    uint32_t payload_bytes = 0;
    uint16_t head_bytes = 0;
    uint16_t tail_bytes = 0;
    uint8_t r2t_bytes = 0;
    std::array<std::byte, kHeaderBytesMax + 32> head;
    std::array<std::byte, 32> tail;
    std::array<std::byte, 32> r2t;
  };
  enum class Phase : uint8_t { kHeader, kData, kDataDigest };
  struct Out {
    uint16_t slot;
    bool is_r2t;
  };

  void parse();
  /** False: no more for now (blocked, or broken). */
  bool take_header();
  bool begin(const wire::PduHeader& header, const std::byte* at);
  bool begin_command(const wire::PduHeader& header, const std::byte* at);
  bool begin_data(const wire::PduHeader& header, const std::byte* at);
  void initialize(const wire::IcReq& request);
  /** The data of a PDU is all there. */
  void data_done(bool digest_matches);
  void command_arrived(uint16_t slot);
  bool give_memory(Slot& slot);
  /** It has its memory: to the device, or first for its data. */
  void go_on(uint16_t slot);
  void send_r2t(uint16_t slot);
  void answer(uint16_t slot, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t host_bytes);
  void push_ready(uint16_t slot);
  void release(uint16_t slot);
  /** Bytes written: a PDU without data, or its header. */
  uint16_t put_pdu(std::byte* at, void* pdu, uint8_t hlen) const;
  void put_control(const void* pdu, uint32_t bytes);

  std::shared_ptr<void> place_;
  UniqueFd socket_;
  DataPool* pool_;
  State state_ = State::kOpen;
  Fault fault_{};
  bool initialized_ = false;
  Terms terms_;
  uint16_t queue_id_ = 0;
  bool flow_control_ = true;
  uint32_t entries_ = 0;
  uint32_t sq_head_ = 0;

  // What came.
  bool readable_ = true;
  bool closing_ = false;
  bool blocked_ = false;  // the next PDU waits for memory
  std::unique_ptr<std::byte[]> in_;
  size_t in_begin_ = 0;
  size_t in_end_ = 0;
  Phase phase_ = Phase::kHeader;
  uint16_t data_slot_ = 0;
  uint32_t data_bytes_ = 0;
  std::byte* data_to_ = nullptr;
  uint32_t data_left_ = 0;
  uint32_t data_digest_ = 0;

  // Commands.
  std::vector<Slot> slots_;
  std::vector<uint16_t> free_;
  std::unique_ptr<uint16_t[], decltype(&std::free)> slot_of_;  // by cid, plus 1; 0: not outstanding
  std::vector<uint16_t> ready_;                                // a ring
  uint32_t ready_head_ = 0;
  uint32_t ready_tail_ = 0;
  std::deque<uint16_t> starved_;
  uint32_t outstanding_ = 0;  // answered ones too, until the answer is sent
  uint32_t running_ = 0;
  uint32_t gathering_ = 0;  // commands whose R2T the host has not answered in full

  // What goes.
  bool writable_ = true;
  std::deque<Out> out_;
  uint64_t out_sent_ = 0;  // of the first
  uint64_t unsent_bytes_ = 0;
  std::array<std::byte, kTermReqBytesMax> control_{};  // ICResp or C2HTermReq: after out_
  uint32_t control_left_ = 0;
  uint32_t control_bytes_ = 0;

  uint64_t in_bytes_ = 0;
  uint64_t out_bytes_ = 0;
  uint64_t progress_seen_ = 0;
  uint64_t progress_ms_ = 0;
};

}  // namespace millrace::tcp
