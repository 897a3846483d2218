// Keeps the slots alive: one thread spawns processes, waits for their readiness and their end, watches deadlines, and
// replaces a lost slot by the warm spare. The engine hears of it through SlotEngine.
#pragma once
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/scan/slot_port.h"
#include "core/slots/cpu_share.h"
#include "core/slots/deadlines.h"
#include "core/slots/silence.h"
#include "core/slots/slot_process.h"

namespace millrace {

class Supervisor final : public SlotSupervisor {
 public:
  Supervisor(SlotSettings settings, SlotEngine& engine);
  ~Supervisor() override;
  void start() override;
  void command_started(uint32_t slot, uint16_t cid, uint32_t deadline_ms) override;
  void command_finished(uint32_t slot, uint16_t cid) override;
  void condemn(uint32_t slot, const char* why) override;
  void reseat(uint32_t slot, const SlotSeat& seat) override;
  void retire(uint32_t bank) override;
  std::vector<SlotStatus> status() const override;
  SlotStops stops() const override { return deadlines_.stops(); }
  std::string cpu_share() const override { return cpu_share_name(cpu_share_.by()); }
  void stop() override;

 private:
  struct Place {
    /** What the next process here is to be born with. */
    SlotSeat seat;
    std::unique_ptr<SlotProcess> process;
    std::shared_ptr<SlotPort> port;
    SlotDownReason reason = SlotDownReason::kDied;
    const char* condemned = nullptr;
    Silence silence;
    /** CPU time it had when its command was asked to stop. */
    uint64_t asked_cpu_ns = 0;
  };

  // Tags of epoll events; a slot's exit has its index.
  static constexpr uint64_t kWake = ~0ull;
  static constexpr uint64_t kCandidateReady = ~0ull - 1;
  static constexpr uint64_t kCandidateExit = ~0ull - 2;
  /** With the pid in the lower half. */
  static constexpr uint64_t kSpareExit = 1ull << 40;
  static constexpr uint64_t kDyingExit = 1ull << 41;
  /** Of killed processes whose places are taken already: more that do not end are a fault of the machine, and are waited for. */
  static constexpr size_t kDyingMax = 4;

  void run();
  // Who sits where (supervisor_places.cc).
  void refill(uint64_t now_ns);
  void on_candidate_ready();
  void on_candidate_lost();
  void on_slot_lost(uint32_t index);
  void give_up(uint32_t index);
  void on_dying_gone(int pid);
  void vacate(uint32_t index, const std::string& how, SlotDownReason reason, const std::string& why);
  void seat(uint32_t index, std::unique_ptr<SlotProcess> process);
  void take_condemned();
  void take_changes();
  void finish_retiring();
  void on_spare_lost(int pid);
  std::unique_ptr<SlotProcess> take_spare(const SlotSeat& seat);
  bool seated(const SlotSeat& seat) const;
  void drop_spare(size_t index, const char* why);
  struct Wanted {
    SlotSeat seat;
    uint64_t not_before_ns;
  };
  /** What the next process is to be started for, if one is needed, and when. */
  std::optional<Wanted> next_seat() const;
  void check_deadlines(uint64_t now_ns);
  void check_silence(uint64_t now_ns);
  bool gives_up_waiting(uint32_t index);
  /** How long run() may sleep; kNever: until something happens. */
  uint64_t wait_ns(uint64_t now_ns);
  void watch(int fd, uint64_t tag);
  void unwatch(int fd);
  void wake();
  void publish();

  const SlotSettings settings_;
  SlotEngine& engine_;
  Deadlines deadlines_;
  UniqueFd epoll_;
  UniqueFd wake_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};

  // The supervisor's thread only.
  std::vector<Place> places_;
  std::unique_ptr<SlotProcess> candidate_;              // starting; becomes a slot or a spare
  std::vector<std::unique_ptr<SlotProcess>> spares_;  // ready, of different seats; at most kSparesMax
  std::vector<std::unique_ptr<SlotProcess>> dying_;   // killed, their places given to others; they still map what they mapped
  std::vector<uint32_t> retiring_;
  CpuShare cpu_share_;  // but `by`, which never changes
  uint64_t candidate_deadline_ns_ = 0;
  Silence candidate_silence_;
  uint64_t next_look_ns_ = 0;
  uint64_t cpu_turn_ns_ = ~0ull;
  uint64_t no_spawn_before_ns_ = 0;
  uint64_t no_spare_before_ns_ = 0;
  uint32_t failed_starts_ = 0;
  bool announced_ = false;

  // Shared with any thread.
  mutable std::mutex mutex_;
  std::vector<SlotStatus> status_;
  std::vector<const char*> condemned_;
  std::vector<std::pair<uint32_t, SlotSeat>> reseats_;
  std::vector<uint32_t> retires_;
};

}  // namespace millrace
