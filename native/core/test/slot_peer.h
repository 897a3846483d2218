// Slots for tests: threads in place of processes that speak the real ring protocol, written apart from the classes under
// test. What a peer does with an Execute is decided by the first byte of the program.
#pragma once
#include <sys/mman.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/scan/slot_port.h"
#include "core/shared_memory.h"
#include "test.h"

namespace millrace::test {

enum class Act : char {
  kSum = 's',        // one frame: u64 sum of the first column's bytes; rows = 1
  kFrames = 'f',     // three frames of one output area
  kMore = 'm',       // four output areas, one frame each
  kDieOften = 'd',   // as kSum, but the slot dies under every 7th command
  kDie = 'D',        // the slot always dies
  kFault = 'F',      // GuestFault TrapDivide
  kLieFrame = 'L',   // a frame of another scan
  kLieOrder = 'O',   // completes a command it never got
  kLieBytes = 'B',   // claims more output than its area has
  kLieLast = 'T',    // a last frame without Last
  kHang = 'H',       // until cancelled
  kWait = 'W',       // full output areas until nobody takes them; then it ends as if asked to stop
  kDieInMove = 'M',  // a stream as any other, but the slot dies under every 5th command of a state
  kDieGiving = 'X',  // a stream as any other, but the slot dies whenever it is to give the state up
  kDieTaking = 'Y',  // the same when it is to take it
  kLieState = 'C',   // a stream whose checkpoint is longer than its area
  kEndless = 'E',    // a stream whose checkpoint never ends
};

/** One slot: ring memory, a thread, and SLM and media, read-only. */
class SlotPeer {
 public:
  SlotPeer(uint32_t id, const SlotSeat& seat, SlotEngine& engine);
  ~SlotPeer() {
    halt();
    ::munmap(const_cast<std::byte*>(slm_), window_bytes_);
  }
  void start();
  /** Ends the thread; nothing of the peer runs afterwards. */
  void halt() {
    stop_.store(true);
    Waker::event_fd(bell_.get()).wake();
    if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) thread_.join();
  }
  bool dead() const { return dead_.load(); }
  const std::shared_ptr<SlotPort>& port() const { return port_; }
  uint64_t executed() const { return executed_.load(); }

 private:
  void run();
  void execute(const wire::Sqe& sqe);
  /** SlotRestore, SlotCheckpoint. The state of a stream: the sum so far, and how many morsels it is of. */
  void move_state(const wire::Sqe& sqe);
  /** Announces a full area; false: to stop. */
  bool go_on_after(uint16_t cid, uint32_t bytes);
  void complete(uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1);
  /** padding_bytes: how much longer its only column is; a multiple of 64. */
  void put_frame(uint64_t at, const wire::MorselHeader& morsel, uint16_t flags, uint64_t value, uint64_t padding_bytes = 0);
  /** Fills output areas for as long as somebody takes them. */
  void fill_until_it_waits(uint16_t cid, const wire::MorselHeader& morsel);
  uint64_t sum_of(const wire::Sqe& sqe, const wire::MorselHeader& morsel);
  bool cancelled(uint16_t cid);

  SlotEngine& engine_;
  SharedMemory memory_;
  RingView ring_;
  std::byte* data_;
  UniqueFd bell_;
  UniqueFd wake_;
  const std::byte* slm_;
  uint64_t window_bytes_ = 0;
  std::shared_ptr<SlotPort> port_;
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
  char programs_[kSlotPrograms] = {};
  uint32_t life_ = 0;
  uint64_t stream_[2] = {};
  /** Of all peers: one that died under a move is not followed by one that dies under the same. */
  static inline std::atomic<uint32_t> moves_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> dead_{false};
  std::atomic<uint64_t> executed_{0};
  std::thread thread_;
};

/** Replaces dead or condemned peers; keeps no deadlines (tests cancel by hand). */
class PeerSupervisor final : public SlotSupervisor {
 public:
  PeerSupervisor(const SlotSettings& settings, SlotEngine& engine) : settings_(settings), engine_(engine) {}
  ~PeerSupervisor() override { stop(); }
  void start() override;
  void command_started(uint32_t, uint16_t, uint32_t) override {}
  void command_finished(uint32_t, uint16_t) override {}
  void condemn(uint32_t slot, const char* why) override;
  void reseat(uint32_t slot, const SlotSeat& seat) override;
  void retire(uint32_t bank) override;
  std::vector<SlotStatus> status() const override { return {}; }
  void stop() override;
  static inline std::atomic<uint32_t> condemned{0};
  static inline std::atomic<uint32_t> replaced{0};
  /** Peers that wait for room (kWait) are asked to stop, by nobody the feeder knows of. */
  static inline std::atomic<bool> stop_waiting{false};
  /** How the engine is told that a peer ended. */
  static inline std::atomic<SlotDownReason> reason{SlotDownReason::kDied};

 private:
  void run();
  SlotSettings settings_;
  SlotEngine& engine_;
  std::mutex mutex_;
  std::vector<bool> condemned_;
  std::vector<SlotSeat> seats_;
  std::vector<uint32_t> retiring_;
  std::vector<std::unique_ptr<SlotPeer>> peers_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace millrace::test
