// The supervisor with real processes: this very program, started again as a slot (main.cc), that does what its commands say.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include "core/scan/slot_port.h"
#include "core/slots/deadlines.h"
#include "core/slots/silence.h"
#include "core/shared_memory.h"
#include "jail/slot_contract.h"
#include "slot_program.h"
#include "test.h"
// The executing side is the slot addon's own; it has no other binary to be tested in.
#include "jail/slot/slot_ring.h"

namespace millrace::test {

namespace {
enum Order : uint32_t { kAnswer, kHangUntilAsked, kHangForEver, kExit, kExitOutOfMemory, kAnswerInParts };
constexpr uint32_t kParts = 5;
}  // namespace

int slot_program() {
  SlotRing ring(kSlotFdRing, kSlotFdWake, kSlotFdDone);
  for (;;) {
    const wire::Sqe sqe = ring.next();
    if (sqe.opc == wire::kOpcodeAdminIdentify) {
      ring.complete(sqe.cid, wire::kStatusSuccess, kJailSession, 0);
      continue;
    }
    switch (sqe.cdw10) {
      case kAnswer: ring.complete(sqe.cid, wire::kStatusSuccess, sqe.cdw11, 0); break;
      case kHangUntilAsked:
        ring.wipe_cancel_word_but(sqe.cid + 1u);
        ring.complete(sqe.cid, wire::kStatusSuccess, 0, 1);  // it hangs from here on
        while (ring.cancel_word() != sqe.cid + 1u) std::this_thread::yield();
        ring.complete(sqe.cid, wire::kStatusGuestFault, wire::kGuestFaultTimeout, 0);
        break;
      case kHangForEver: for (;;) ::pause();
      case kExit: ::_exit(7);
      case kExitOutOfMemory: ::_exit(kSlotExitOutOfMemory);
      case kAnswerInParts: {
        bool going_on = true;
        for (uint32_t part = 0; part + 1 < kParts && going_on; part++) {
          ring.note_continue_word();
          ring.complete(sqe.cid, wire::kStatusSuccess, part, 1);
          going_on = ring.wait_continue(sqe.cid);
        }
        ring.complete(sqe.cid, going_on ? wire::kStatusSuccess : wire::kStatusGuestFault, going_on ? kParts - 1 : wire::kGuestFaultTimeout, 0);
        break;
      }
      default: ring.complete(sqe.cid, wire::kStatusInvalidField, 0, 0);
    }
  }
}

namespace {

class Engine final : public SlotEngine {
 public:
  void slot_up(std::shared_ptr<SlotPort> port) override {
    const std::lock_guard lock(mutex_);
    CHECK(!ports_.at(port->id));
    ports_[port->id] = std::move(port);
    changed_.notify_all();
  }
  void slot_down(const std::shared_ptr<SlotPort>& port, SlotDownReason reason) override {
    const std::lock_guard lock(mutex_);
    CHECK(ports_.at(port->id) == port && !port->alive.load());
    ports_[port->id] = nullptr;
    downs_.push_back(reason);
    changed_.notify_all();
  }
  void event(const char*, std::string) override {}

  std::shared_ptr<SlotPort> port(uint32_t id) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ports_.at(id) != nullptr; });
    return ports_[id];
  }
  SlotDownReason down(size_t index) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return downs_.size() > index; });
    return downs_[index];
  }
  size_t downs() {
    const std::lock_guard lock(mutex_);
    return downs_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<SlotPort>> ports_{3};
  std::vector<SlotDownReason> downs_;
};

SlotSeat seat_of(uint32_t bank, int slm_fd, uint64_t slm_bytes) {
  SlotSeat seat{bank, slm_fd, slm_bytes, slm_bytes, {}};
  seat.caps.heap_bytes = 16 << 20;
  return seat;
}

struct Fixture {
  SharedMemory slm = SharedMemory::create("slm", kSlmBytesMin);
  UniqueFd slm_read_only = slm.reopen_read_only();
  Engine engine;
  std::unique_ptr<SlotSupervisor> supervisor;
  Fixture() {
    const std::string self = "/proc/" + std::to_string(::getpid()) + "/exe";
    supervisor = make_slot_supervisor({2, self, self, self, seat_of(0, slm_read_only.get(), slm.bytes())}, engine);
    supervisor->start();
  }
  ~Fixture() { supervisor->stop(); }
};

void give(SlotPort& port, uint16_t cid, Order order, uint32_t value = 0) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeExecute;
  sqe.cid = cid;
  sqe.nsid = wire::kNsidCompute;
  sqe.cdw10 = order;
  sqe.cdw11 = value;
  CHECK(port.ring.submit(&sqe, 1) == 1);
}

/** Blocks for the next completion; false when the slot went away instead. */
bool answer(SlotPort& port, wire::Cqe& cqe) {
  for (;;) {
    if (port.ring.reap(&cqe, 1) == 1) return true;
    if (!port.alive.load()) return false;
    if (!port.ring.arm()) continue;
    pollfd wait{port.completion_fd, POLLIN, 0};
    ::poll(&wait, 1, 20);
    uint64_t count;
    [[maybe_unused]] auto n = ::read(port.completion_fd, &count, sizeof count);
  }
}

/** Processes this one started. */
std::vector<int> children() {
  std::vector<int> pids;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream list(task.path() / "children");
    for (int pid = 0; list >> pid;) pids.push_back(pid);
  }
  return pids;
}

uint32_t fault_of(const wire::Cqe& cqe) { return (cqe.status >> 1) == wire::kStatusGuestFault ? cqe.dw0 : 0; }

}  // namespace

TEST(slots_answer_in_order_and_in_parts) {
  Fixture f;
  for (uint32_t id = 1; id <= 2; id++) {
    const auto port = f.engine.port(id);
    wire::Cqe cqe;
    for (uint32_t i = 0; i < 300; i += 3) {
      for (uint32_t k = 0; k < 3; k++) give(*port, static_cast<uint16_t>((i + k) % kSlotRingEntries), kAnswer, i + k);
      for (uint32_t k = 0; k < 3; k++) CHECK(answer(*port, cqe) && cqe.dw0 == i + k && cqe.cid == (i + k) % kSlotRingEntries);
    }
    give(*port, 4, kAnswerInParts);
    for (uint32_t part = 0; part < kParts; part++) {
      CHECK(answer(*port, cqe) && cqe.dw0 == part && (cqe.dw1 & 1) == (part + 1 < kParts ? 1u : 0u));
      if (part + 1 < kParts) port->ring.go_on(4);
    }
    give(*port, 5, kAnswerInParts);
    CHECK(answer(*port, cqe) && (cqe.dw1 & 1) == 1);
    port->ring.cancel(5);
    CHECK(answer(*port, cqe) && fault_of(cqe) == wire::kGuestFaultTimeout);
  }
  CHECK(f.engine.downs() == 0);
}

TEST(a_slot_that_stops_when_asked_lives_on) {
  Fixture f;
  wire::Cqe cqe;
  // On a machine so busy that the slot gets no turn within the grace it is killed, which is right as well: try again.
  for (int attempt = 0;; attempt++) {
    CHECK(attempt < 200);
    const size_t downs = f.engine.downs();
    const auto port = f.engine.port(1);
    give(*port, 3, kHangUntilAsked);
    CHECK(answer(*port, cqe) && (cqe.dw1 & 1) == 1);
    f.supervisor->command_started(1, 3, 5);
    if (answer(*port, cqe)) {
      CHECK(fault_of(cqe) == wire::kGuestFaultTimeout);
      f.supervisor->command_finished(1, 3);
      give(*port, 9, kAnswer, 77);
      if (answer(*port, cqe)) {
        CHECK(cqe.dw0 == 77);
        return;
      }
    }
    CHECK(f.engine.down(downs) == SlotDownReason::kDeadline);
  }
}

TEST(a_slot_that_does_not_stop_is_killed_and_replaced_and_the_other_goes_on) {
  Fixture f;
  wire::Cqe cqe;
  for (size_t round = 0; round < 3; round++) {
    const auto stuck = f.engine.port(1);
    f.supervisor->command_started(1, 3, 5);
    give(*stuck, 3, kHangForEver);
    const auto other = f.engine.port(2);
    for (uint32_t i = 0; i < 20; i++) {
      give(*other, 1, kAnswer, i);
      CHECK(answer(*other, cqe) && cqe.dw0 == i);
    }
    CHECK(!answer(*stuck, cqe));
    CHECK(f.engine.down(round) == SlotDownReason::kDeadline);
    CHECK(f.engine.port(1)->pid != stuck->pid);
  }
}

TEST(slots_that_die_or_are_condemned_are_replaced) {
  Fixture f;
  wire::Cqe cqe;
  give(*f.engine.port(1), 0, kExit);
  CHECK(f.engine.down(0) == SlotDownReason::kCrashed);
  CHECK(::kill(f.engine.port(2)->pid, SIGKILL) == 0);
  CHECK(f.engine.down(1) == SlotDownReason::kDied);
  f.engine.port(1);
  f.supervisor->condemn(1, "it lied");
  CHECK(f.engine.down(2) == SlotDownReason::kDied);
  give(*f.engine.port(2), 0, kExitOutOfMemory);
  CHECK(f.engine.down(3) == SlotDownReason::kOutOfMemory);
  for (uint32_t id = 1; id <= 2; id++) {
    give(*f.engine.port(id), 0, kAnswer, id);
    CHECK(answer(*f.engine.port(id), cqe) && cqe.dw0 == id);
  }
  for (const SlotStatus& status : f.supervisor->status()) CHECK(status.state == "ready" && status.pid > 0);
}

TEST(a_slot_stopped_by_somebody_is_replaced_when_it_owes_an_answer) {
  Fixture f;
  const auto silent = f.engine.port(1);
  CHECK(::kill(silent->pid, SIGSTOP) == 0);
  f.supervisor->command_started(1, 0, kDeadlineMsMax);
  give(*silent, 0, kAnswer, 1);
  CHECK(f.engine.down(0) == SlotDownReason::kDied);
  wire::Cqe cqe;
  give(*f.engine.port(1), 0, kAnswer, 2);
  CHECK(answer(*f.engine.port(1), cqe) && cqe.dw0 == 2);
}

TEST(a_slot_stopped_under_a_command_is_replaced_long_before_its_deadline_and_one_that_sleeps_is_not) {
  Fixture f;
  const auto asleep = f.engine.port(2);
  f.supervisor->command_started(2, 1, kDeadlineMsMax);
  give(*asleep, 1, kHangForEver);
  const auto stopped = f.engine.port(1);
  wire::Cqe cqe;
  give(*stopped, 3, kHangUntilAsked);
  CHECK(answer(*stopped, cqe) && (cqe.dw1 & 1) == 1);
  f.supervisor->command_started(1, 3, kDeadlineMsMax);
  CHECK(::kill(stopped->pid, SIGSTOP) == 0);
  CHECK(f.engine.down(0) == SlotDownReason::kDied);
  give(*f.engine.port(1), 0, kAnswer, 4);
  CHECK(answer(*f.engine.port(1), cqe) && cqe.dw0 == 4);
  CHECK(f.engine.downs() == 1 && asleep->alive.load());
}

TEST(a_slot_stopped_while_it_starts_or_waits_as_spare_holds_up_nobody) {
  Fixture f;
  std::vector<int> seated;
  for (uint32_t id = 1; id <= 2; id++) seated.push_back(f.engine.port(id)->pid);
  const auto is_seated = [&](int pid) { return std::find(seated.begin(), seated.end(), pid) != seated.end(); };
  // Whatever is neither seated is the one that starts, or the spare.
  const auto stop_the_rest = [&] {
    for (const int pid : children()) if (!is_seated(pid)) CHECK(::kill(pid, SIGSTOP) == 0);
  };
  for (size_t round = 0; round < 3; round++) {
    stop_the_rest();
    size_t downs = f.engine.downs();
    const auto lost = f.engine.port(1);
    CHECK(::kill(lost->pid, SIGKILL) == 0);
    CHECK(f.engine.down(downs) == SlotDownReason::kDied);
    stop_the_rest();
    // That may have hit the process that took the place meanwhile: then it is replaced in turn, for it owes an answer.
    for (bool answered = false; !answered;) {
      const auto next = f.engine.port(1);
      seated[0] = next->pid;
      wire::Cqe cqe;
      f.supervisor->command_started(1, 0, kDeadlineMsMax);
      give(*next, 0, kAnswer, 5);
      answered = answer(*next, cqe);
      f.supervisor->command_finished(1, 0);
      CHECK(!answered || cqe.dw0 == 5);
      if (!answered) f.engine.down(++downs);
    }
  }
}

TEST(who_is_only_slow_is_not_silent) {
  constexpr uint64_t kTick = 100'000'000;
  auto looks = [](Silence::Sight sight, uint64_t cpu_step) {
    Silence silence;
    uint64_t at = 1;
    for (int i = 0; i < 100; i++, at += kTick, sight.cpu_ns += cpu_step)
      if (silence.look(at, sight)) return at;
    return uint64_t{0};
  };
  CHECK(looks({true, 5, 'T'}, 0) == 1 + 2 * kTick);
  CHECK(looks({true, 5, 'S'}, 0) == 1 + Silence::kAsleepNs);
  CHECK(looks({true, 5, 'S'}, 1) == 0);   // works now and then
  CHECK(looks({true, 5, 'R'}, 0) == 0);   // gets no core
  CHECK(looks({true, 5, 'D'}, 0) == 0);   // waits for a disk
  CHECK(looks({false, 5, 'T'}, 0) == 0);  // owes nothing
  Silence silence;
  for (uint64_t i = 1; i < 40; i++) CHECK(!silence.look(i * kTick, {true, 5, i % 2 == 0 ? 'T' : 'S'}));
}

TEST(stopping_the_supervisor_ends_every_process) {
  std::vector<int> pids;
  {
    Fixture f;
    for (uint32_t id = 1; id <= 2; id++) pids.push_back(f.engine.port(id)->pid);
  }
  for (const int pid : pids) CHECK(::kill(pid, 0) != 0);
}

TEST(deadlines_ask_then_kill_and_never_hit_a_finished_command) {
  Deadlines deadlines(3);
  using Step = Deadlines::Step;
  std::vector<Step> steps;
  bool hopeless = false;
  auto look = [&](uint64_t now) {
    deadlines.due(now, [&](const Deadlines::Due& due) {
      CHECK(due.slot == 1 && due.cid == 4);
      steps.push_back(due.step);
      return due.step == Step::kLook && hopeless;
    });
  };
  CHECK(deadlines.next_ns() == Deadlines::kNever);
  CHECK(deadlines.start(1, 4, 1000));  // the supervisor sleeps for ever: wake it
  CHECK(deadlines.next_ns() == 1000);
  CHECK(!deadlines.start(1, 4, 2000));  // it wakes earlier anyway
  look(1999);
  CHECK(steps.empty());
  look(2000);
  look(2001);
  look(2000 + Deadlines::kLookNs);
  look(2000 + Deadlines::kGraceNs);
  look(~0ull - 1);
  CHECK((steps == std::vector{Step::kAsk, Step::kLook, Step::kKill}));
  CHECK(deadlines.stops().asked.count() == 0 && deadlines.stops().killed.count() == 0);
  deadlines.clear(1);
  CHECK(deadlines.stops().killed.count() == 1 && deadlines.stops().last_due_ns == 2000);
  deadlines.start(1, 4, 10);
  deadlines.finish(1, 4);
  look(~0ull - 1);
  CHECK(steps.size() == 3 && deadlines.next_ns() == Deadlines::kNever && deadlines.stops().asked.count() == 0);
  // One for which there is no hope is not waited for.
  steps.clear();
  hopeless = true;
  deadlines.start(1, 4, 10);
  look(10);
  look(10 + Deadlines::kLookNs);
  CHECK((steps == std::vector{Step::kAsk, Step::kLook, Step::kKill}));
  deadlines.finish(1, 4);  // it answered after all, before the kill
  CHECK(deadlines.stops().asked.count() == 1 && deadlines.stops().last_due_ns == 10);
}

}  // namespace millrace::test
