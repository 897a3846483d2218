#include "core/slots/supervisor.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "core/invariant.h"
#include "core/model/clock.h"
#include "core/short_slice.h"
#include "core/slots/spawn_arguments.h"

namespace millrace {

namespace {
/** While a slot starts or a command runs, processes are looked at this often. */
constexpr uint64_t kLookNs = 100'000'000;
}  // namespace

std::unique_ptr<SlotSupervisor> make_slot_supervisor(const SlotSettings& settings, SlotEngine& engine) { return std::make_unique<Supervisor>(settings, engine); }

Supervisor::Supervisor(SlotSettings settings, SlotEngine& engine)
    : settings_(std::move(settings)), engine_(engine), deadlines_(settings_.slots + 1), places_(settings_.slots + 1), cpu_share_(CpuShare::of_this_machine()), condemned_(settings_.slots + 1, nullptr) {
  for (Place& place : places_) place.seat = settings_.seat;
  for (uint32_t id = 1; id <= settings_.slots; id++) status_.push_back({id, 0, "starting", 0});
}

Supervisor::~Supervisor() { stop(); }

void Supervisor::start() {
  invariant(!thread_.joinable(), "the supervisor starts once");
  for (const auto& [path, mode] : {std::pair{settings_.launcher, X_OK}, {settings_.node, X_OK}, {settings_.script, R_OK}})
    if (::access(path.c_str(), mode) != 0) throw std::runtime_error("a slot cannot be started: " + path + " is missing or not accessible");
  if (linear_memory_bytes(settings_.seat) > 1ull << 32)
    throw std::runtime_error("slmBytes (" + std::to_string(settings_.seat.slm_bytes) + ") and slotHeapBytesMax (" + std::to_string(settings_.seat.caps.heap_bytes) + ") exceed the 4 GiB of a kernel's memory: lower one of them");
  epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  wake_ = make_event_fd();
  if (!epoll_ || !wake_) throw std::system_error(errno, std::generic_category(), "the supervisor's descriptors");
  watch(wake_.get(), kWake);
  // The slots' death signal hangs on the thread that spawned them, so this one does and lives as long as they.
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "slots");
    ask_for_short_slices();
    run();
  });
}

void Supervisor::run() {
  while (!stopping_.load(std::memory_order_acquire)) {
    refill(monotonic_ns());
    std::array<epoll_event, 16> events;
    // In nanoseconds: a deadline rounded up to the next millisecond would be a millisecond late.
    const uint64_t wait = wait_ns(monotonic_ns());
    const timespec timeout{static_cast<time_t>(wait / 1'000'000'000), static_cast<long>(wait % 1'000'000'000)};
    const int n = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), wait == Deadlines::kNever ? nullptr : &timeout, nullptr);
    for (int i = 0; i < n; i++) {
      const uint64_t tag = events[static_cast<size_t>(i)].data.u64;
      if (tag == kWake) {
        uint64_t count;
        [[maybe_unused]] auto r = ::read(wake_.get(), &count, sizeof count);
      } else if (tag == kCandidateReady) {
        if (candidate_ && candidate_->take_ready()) on_candidate_ready();
      } else if (tag == kCandidateExit) {
        if (candidate_) on_candidate_lost();
      } else if ((tag & kDyingExit) != 0) {
        on_dying_gone(static_cast<int>(tag & 0xffffffffu));
      } else if (tag >= kSpareExit) {
        on_spare_lost(static_cast<int>(tag & 0xffffffffu));
      } else {
        on_slot_lost(static_cast<uint32_t>(tag));
      }
    }
    take_condemned();
    take_changes();
    finish_retiring();
    check_deadlines(monotonic_ns());
    cpu_turn_ns_ = cpu_share_.turn(monotonic_ns());
    check_silence(monotonic_ns());
  }
  for (Place& place : places_) {
    if (!place.process) continue;
    place.port->alive.store(false, std::memory_order_release);
    place.process.reset();
  }
  candidate_.reset();
  spares_.clear();
  dying_.clear();
}

void Supervisor::check_deadlines(uint64_t now_ns) {
  std::array<uint32_t, 16> overdue;
  size_t count = 0;
  deadlines_.due(now_ns, [&](const Deadlines::Due& due) {
    Place& place = places_[due.slot];
    if (!place.process) return false;
    switch (due.step) {
      case Deadlines::Step::kAsk:
        cpu_share_.lift(place.process->pid(), monotonic_ns(), Deadlines::kGraceNs);
        place.process->stop_command(due.cid);
        place.asked_cpu_ns = process_cpu_ns(place.process->pid());
        break;
      case Deadlines::Step::kLook: return gives_up_waiting(due.slot);
      case Deadlines::Step::kKill:
        place.reason = SlotDownReason::kDeadline;
        place.process->kill();
        overdue[count++] = due.slot;
        break;
    }
    return false;
  });
  for (size_t i = 0; i < count; i++) give_up(overdue[i]);
  if (candidate_ && now_ns >= candidate_deadline_ns_) candidate_->kill();
}

/** Asked to stop it will not: somebody stopped the process, or it runs native code that does not look. */
bool Supervisor::gives_up_waiting(uint32_t index) {
  const Place& place = places_[index];
  const int pid = place.process->pid();
  return process_cpu_ns(pid) - place.asked_cpu_ns >= Deadlines::kGraceCpuNs || (place.process->stopped() && !cpu_share_.holds_still(pid));
}

void Supervisor::check_silence(uint64_t now_ns) {
  if (now_ns < next_look_ns_) return;
  next_look_ns_ = now_ns + kLookNs;
  if (candidate_ && candidate_silence_.look(now_ns, candidate_->sight(true))) {
    engine_.event("log", "a slot " + describe(*candidate_) + " fell silent while it started");
    candidate_->kill();
  }
  for (Place& place : places_)
    if (place.process && !place.condemned && !cpu_share_.holds_still(place.process->pid()) && place.silence.look(now_ns, place.process->sight(false))) {
      place.condemned = "it fell silent";
      place.process->kill();
    }
}

uint64_t Supervisor::wait_ns(uint64_t now_ns) {
  const uint64_t deadline = deadlines_.next_ns();
  uint64_t next = std::min(deadline, cpu_turn_ns_);
  if (candidate_ || deadline != Deadlines::kNever) next = std::min(next, std::max(next_look_ns_, now_ns));
  if (candidate_) next = std::min(next, candidate_deadline_ns_);
  else if (const auto wanted = next_seat()) next = std::min(next, wanted->not_before_ns);
  if (next == Deadlines::kNever) return next;
  return next <= now_ns ? 0 : next - now_ns;
}

void Supervisor::command_started(uint32_t slot, uint16_t cid, uint32_t deadline_ms) {
  if (deadlines_.start(slot, cid, monotonic_ns() + uint64_t{deadline_ms} * 1'000'000)) wake();
}

void Supervisor::command_finished(uint32_t slot, uint16_t cid) { deadlines_.finish(slot, cid); }

void Supervisor::condemn(uint32_t slot, const char* why) {
  {
    const std::lock_guard lock(mutex_);
    condemned_[slot] = why;
  }
  wake();
}

void Supervisor::reseat(uint32_t slot, const SlotSeat& seat) {
  {
    const std::lock_guard lock(mutex_);
    reseats_.emplace_back(slot, seat);
  }
  wake();
}

void Supervisor::retire(uint32_t bank) {
  {
    const std::lock_guard lock(mutex_);
    retires_.push_back(bank);
  }
  wake();
}

std::vector<SlotStatus> Supervisor::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void Supervisor::publish() {
  const std::lock_guard lock(mutex_);
  for (SlotStatus& s : status_) {
    const auto& process = places_[s.id].process;
    s.pid = process ? process->pid() : 0;
    s.state = process ? "ready" : "down";
    s.jail = process ? process->jail() : 0;
  }
}

void Supervisor::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  wake();
  thread_.join();
  const std::lock_guard lock(mutex_);
  for (SlotStatus& s : status_) s = {s.id, 0, "down", 0};
}

void Supervisor::wake() { Waker::event_fd(wake_.get()).wake(); }

void Supervisor::watch(int fd, uint64_t tag) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

void Supervisor::unwatch(int fd) { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

}  // namespace millrace
