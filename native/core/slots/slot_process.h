// One slot process from spawn to its last breath: its ring, its descriptors, its pidfd. Owned by the supervisor's thread,
// except `stop_command`, which any thread may call while the process is alive.
#pragma once
#include <memory>
#include <string>

#include "core/scan/slot_port.h"
#include "core/shared_memory.h"
#include "core/slots/silence.h"
#include "core/unique_fd.h"

namespace millrace {

/** What a port keeps alive: the mapping the engine's feeder reads and the eventfds both sides use. */
struct SlotMemory {
  SharedMemory memory;
  UniqueFd wake;
  UniqueFd done;
};

class SlotProcess {
 public:
  /** Spawns; the first command (Identify) is in the ring already. Throws std::system_error. */
  static std::unique_ptr<SlotProcess> spawn(const SlotSettings& settings, const SlotSeat& seat);
  SlotProcess(const SlotProcess&) = delete;
  SlotProcess& operator=(const SlotProcess&) = delete;
  /** Kills and reaps the process if it still runs. */
  ~SlotProcess();

  int pid() const { return pid_; }
  const SlotSeat& seat() const { return seat_; }
  int exit_fd() const { return pidfd_.get(); }
  int done_fd() const { return memory_->done.get(); }

  /** Looks for the answer to Identify. True once, when it came: the process is ready. */
  bool take_ready();
  /** JailPart bits of a ready process. */
  uint32_t jail() const { return jail_; }
  /** The port of a ready process; call once. */
  std::shared_ptr<SlotPort> make_port(uint32_t id);

  /** Nothing but the first command was given so far: it owes the answer. Otherwise: it took all it was given, or works on one. */
  Silence::Sight sight(bool starting) const;
  /** Somebody stopped it (SIGSTOP): it cannot serve. */
  bool stopped() const;

  /** Asks the slot to stop its running command; it answers within 50 us, or has to be killed. */
  void stop_command(uint16_t cid);
  void kill();
  struct End {
    std::string how;    // "signal 11", "exit code 70"
    std::string words;  // what it wrote to stderr last
    bool by_itself;     // not by SIGKILL, and not because media failed under it
    bool out_of_memory;  // by itself, and said so
    std::string text() const { return words.empty() ? how : how + ": " + words; }
  };
  /** After exit_fd became readable. */
  End reap();

 private:
  SlotProcess() = default;
  std::shared_ptr<SlotMemory> memory_;
  wire::QueueHeader* header_ = nullptr;
  Submitter ring_;
  UniqueFd pidfd_;
  UniqueFd stderr_;
  SlotSeat seat_;
  int pid_ = 0;
  uint32_t jail_ = 0;
  bool reaped_ = false;
};

/** For people. */
inline std::string describe(const SlotProcess& p) { return "(pid " + std::to_string(p.pid()) + ")"; }

}  // namespace millrace
