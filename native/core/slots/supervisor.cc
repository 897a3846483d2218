#include "core/slots/supervisor.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "core/invariant.h"
#include "core/slots/spawn_arguments.h"
#include "jail/slot_contract.h"

namespace millrace {

namespace {

// Tags of epoll events; a slot's exit has its index.
constexpr uint64_t kWake = ~0ull;
constexpr uint64_t kCandidateReady = ~0ull - 1;
constexpr uint64_t kCandidateExit = ~0ull - 2;
/** With the pid in the lower half. */
constexpr uint64_t kSpareExit = 1ull << 40;

/** A slot starts in 40 ms of CPU; on a machine that gives it none for this long something else is wrong. */
constexpr uint64_t kStartNsMax = 20'000'000'000;
/** While a slot starts or a command runs, processes are looked at this often. */
constexpr uint64_t kLookNs = 100'000'000;
constexpr uint64_t kBackoffNsMin = 100'000'000;
constexpr uint64_t kBackoffNsMax = 5'000'000'000;

uint64_t now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000ull + static_cast<uint64_t>(t.tv_nsec);
}

std::string describe(const SlotProcess& p) { return "(pid " + std::to_string(p.pid()) + ")"; }

std::string jail_text(uint32_t parts) {
  std::string text;
  for (const auto& [part, name] : kJailPartNames) text += std::string(text.empty() ? "" : " ") + ((parts & part) ? "" : "no-") + name;
  return text;
}

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
    run();
  });
}

void Supervisor::run() {
  while (!stopping_.load(std::memory_order_acquire)) {
    refill(now());
    std::array<epoll_event, 16> events;
    const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms(now()));
    for (int i = 0; i < n; i++) {
      const uint64_t tag = events[static_cast<size_t>(i)].data.u64;
      if (tag == kWake) {
        uint64_t count;
        [[maybe_unused]] auto r = ::read(wake_.get(), &count, sizeof count);
      } else if (tag == kCandidateReady) {
        if (candidate_ && candidate_->take_ready()) on_candidate_ready();
      } else if (tag == kCandidateExit) {
        if (candidate_) on_candidate_lost();
      } else if (tag >= kSpareExit) {
        on_spare_lost(static_cast<int>(tag & 0xffffffffu));
      } else {
        on_slot_lost(static_cast<uint32_t>(tag));
      }
    }
    take_condemned();
    take_changes();
    finish_retiring();
    check_deadlines(now());
    cpu_turn_ns_ = cpu_share_.turn(now());
    check_silence(now());
  }
  for (Place& place : places_) {
    if (!place.process) continue;
    place.port->alive.store(false, std::memory_order_release);
    place.process.reset();
  }
  candidate_.reset();
  spares_.clear();
}

std::optional<SlotSeat> Supervisor::next_seat() const {
  for (uint32_t id = 1; id < places_.size(); id++)
    if (!places_[id].process) return places_[id].seat;
  for (uint32_t id = 1; id < places_.size(); id++) {
    const SlotSeat& seat = places_[id].seat;
    const bool have = std::any_of(spares_.begin(), spares_.end(), [&](const auto& spare) { return spare->seat().same(seat); });
    const bool room = spares_.size() < kSparesMax || std::any_of(spares_.begin(), spares_.end(), [this](const auto& spare) { return !seated(spare->seat()); });
    if (!have && room) return seat;
  }
  return std::nullopt;
}

/** A process is started at a time: for an empty place first, then spares of what the places are. */
void Supervisor::refill(uint64_t now_ns) {
  for (uint32_t id = 1; id < places_.size(); id++) {
    if (places_[id].process) continue;
    if (auto spare = take_spare(places_[id].seat)) seat(id, std::move(spare));
  }
  if (candidate_ || now_ns < no_spawn_before_ns_) return;
  const auto next = next_seat();
  if (!next) return;
  try {
    candidate_ = SlotProcess::spawn(settings_, *next);
    candidate_deadline_ns_ = now_ns + kStartNsMax;
    candidate_silence_ = {};
    watch(candidate_->exit_fd(), kCandidateExit);
    watch(candidate_->done_fd(), kCandidateReady);
  } catch (const std::system_error& e) {
    candidate_.reset();
    no_spawn_before_ns_ = now_ns + kBackoffNsMax;
    engine_.event("slotFault", std::string("a slot cannot be started: ") + e.what());
  }
}

bool Supervisor::seated(const SlotSeat& seat) const {
  return std::any_of(places_.begin() + 1, places_.end(), [&seat](const Place& place) { return place.seat.same(seat); });
}

/** A ready process of the seat, if there is one that can serve. */
std::unique_ptr<SlotProcess> Supervisor::take_spare(const SlotSeat& seat) {
  for (size_t i = 0; i < spares_.size(); i++) {
    if (!spares_[i]->seat().same(seat)) continue;
    if (spares_[i]->stopped()) {
      drop_spare(i, "was stopped by somebody and is not used");
      return nullptr;
    }
    auto spare = std::move(spares_[i]);
    spares_.erase(spares_.begin() + static_cast<std::ptrdiff_t>(i));
    unwatch(spare->exit_fd());
    return spare;
  }
  return nullptr;
}

void Supervisor::drop_spare(size_t index, const char* why) {
  if (why) engine_.event("log", "the spare slot " + describe(*spares_[index]) + " " + why);
  unwatch(spares_[index]->exit_fd());
  spares_.erase(spares_.begin() + static_cast<std::ptrdiff_t>(index));
}

void Supervisor::on_spare_lost(int pid) {
  for (size_t i = 0; i < spares_.size(); i++) {
    if (spares_[i]->pid() != pid) continue;
    engine_.event("log", "the spare slot ended: " + spares_[i]->reap().text());
    drop_spare(i, nullptr);
    return;
  }
}

void Supervisor::on_candidate_ready() {
  failed_starts_ = 0;
  unwatch(candidate_->done_fd());
  unwatch(candidate_->exit_fd());
  if (!announced_) engine_.event("log", "slot jail: " + jail_text(candidate_->jail()));
  announced_ = true;
  for (uint32_t id = 1; id < places_.size(); id++) {
    if (places_[id].process || !places_[id].seat.same(candidate_->seat())) continue;
    seat(id, std::move(candidate_));
    return;
  }
  // It was started for a place that was given away meanwhile, or as a spare; one nobody sits like makes room first.
  for (size_t i = 0; i < spares_.size() && spares_.size() >= kSparesMax; i++)
    if (!seated(spares_[i]->seat())) drop_spare(i, nullptr);
  const bool have = std::any_of(spares_.begin(), spares_.end(), [this](const auto& spare) { return spare->seat().same(candidate_->seat()); });
  // A view nobody has any more is let go: it keeps its datasets' blocks from being used again.
  const bool stale = candidate_->seat().view && !seated(candidate_->seat());
  if (have || stale || spares_.size() >= kSparesMax) {
    candidate_.reset();
    return;
  }
  spares_.push_back(std::move(candidate_));
  watch(spares_.back()->exit_fd(), kSpareExit | static_cast<uint32_t>(spares_.back()->pid()));
}

void Supervisor::on_candidate_lost() {
  const bool retired = std::find(retiring_.begin(), retiring_.end(), candidate_->seat().bank) != retiring_.end();
  if (!retired) {
    failed_starts_++;
    no_spawn_before_ns_ = now() + std::min(kBackoffNsMax, kBackoffNsMin << std::min(failed_starts_, 10u));
  }
  engine_.event(retired ? "log" : "slotFault", "a slot " + describe(*candidate_) + " ended while it started: " + candidate_->reap().text());
  unwatch(candidate_->done_fd());
  unwatch(candidate_->exit_fd());
  candidate_.reset();
}

void Supervisor::seat(uint32_t id, std::unique_ptr<SlotProcess> process) {
  Place& place = places_[id];
  place.process = std::move(process);
  place.port = place.process->make_port(id);
  place.reason = SlotDownReason::kDied;
  place.condemned = nullptr;
  place.silence = {};
  cpu_share_.hold(place.process->pid(), place.process->seat().caps.cpu_percent);
  deadlines_.clear(id);
  watch(place.process->exit_fd(), id);
  publish();
  engine_.slot_up(place.port);
}

void Supervisor::on_slot_lost(uint32_t id) {
  Place& place = places_[id];
  if (!place.process) return;
  unwatch(place.process->exit_fd());
  cpu_share_.release(place.process->pid());
  const SlotProcess::End end = place.process->reap();
  const std::string who = "slot " + std::to_string(id) + " " + describe(*place.process);
  const char* why = place.condemned;
  deadlines_.clear(id);
  place.port->alive.store(false, std::memory_order_release);
  const auto port = std::move(place.port);
  SlotDownReason reason = place.reason;
  if (reason == SlotDownReason::kDied && end.by_itself) reason = end.out_of_memory ? SlotDownReason::kOutOfMemory : SlotDownReason::kCrashed;
  port->end = end.how;
  place.process.reset();
  publish();
  engine_.slot_down(port, reason);
  if (reason == SlotDownReason::kStopped) return;
  engine_.event("slotReplaced", who + " is replaced: " + (why ? std::string(why) : reason == SlotDownReason::kDeadline ? "its command passed its deadline and did not stop" : reason == SlotDownReason::kOutOfMemory ? "its memory ran out" : end.text()));
}

void Supervisor::take_condemned() {
  for (uint32_t id = 1; id < places_.size(); id++) {
    const char* why = nullptr;
    {
      const std::lock_guard lock(mutex_);
      std::swap(why, condemned_[id]);
    }
    if (!why || !places_[id].process) continue;
    places_[id].condemned = why;
    places_[id].process->kill();
  }
}

void Supervisor::take_changes() {
  std::vector<std::pair<uint32_t, SlotSeat>> reseats;
  std::vector<uint32_t> retires;
  {
    const std::lock_guard lock(mutex_);
    reseats.swap(reseats_);
    retires.swap(retires_);
  }
  // ORDER: a bank is retired after it was a seat, never the other way round in one batch: its tenant has to come anew first.
  for (const auto& [slot, seat] : reseats) {
    Place& place = places_[slot];
    place.seat = seat;
    if (!place.process || place.process->seat().same(seat)) continue;
    place.reason = SlotDownReason::kStopped;
    place.process->kill();
  }
  if (!reseats.empty())
    for (size_t i = spares_.size(); i-- > 0;)
      if (spares_[i]->seat().view && !seated(spares_[i]->seat())) drop_spare(i, nullptr);
  for (const uint32_t bank : retires) {
    retiring_.push_back(bank);
    for (Place& place : places_) {
      if (place.seat.bank == bank) place.seat = settings_.seat;
      if (!place.process || place.process->seat().bank != bank) continue;
      place.reason = SlotDownReason::kStopped;
      place.process->kill();
    }
    for (size_t i = spares_.size(); i-- > 0;)
      if (spares_[i]->seat().bank == bank) drop_spare(i, nullptr);
    if (candidate_ && candidate_->seat().bank == bank) candidate_->kill();
  }
}

void Supervisor::finish_retiring() {
  std::erase_if(retiring_, [this](uint32_t bank) {
    const bool mapped = (candidate_ && candidate_->seat().bank == bank) || std::any_of(places_.begin(), places_.end(), [bank](const Place& place) { return place.process && place.process->seat().bank == bank; });
    if (!mapped) engine_.bank_unmapped(bank);
    return !mapped;
  });
}

void Supervisor::check_deadlines(uint64_t now_ns) {
  deadlines_.due(now_ns, [this](const Deadlines::Due& due) {
    Place& place = places_[due.slot];
    if (!place.process) return;
    if (due.step == Deadlines::Step::kAsk) {
      cpu_share_.lift(place.process->pid(), now(), Deadlines::kGraceNs);
      place.process->stop_command(due.cid);
    } else {
      place.reason = SlotDownReason::kDeadline;
      place.process->kill();
    }
  });
  if (candidate_ && now_ns >= candidate_deadline_ns_) candidate_->kill();
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

int Supervisor::wait_ms(uint64_t now_ns) {
  const uint64_t deadline = deadlines_.next_ns();
  uint64_t next = std::min(deadline, cpu_turn_ns_);
  if (candidate_ || deadline != Deadlines::kNever) next = std::min(next, std::max(next_look_ns_, now_ns));
  if (candidate_) next = std::min(next, candidate_deadline_ns_);
  else if (next_seat()) next = std::min(next, no_spawn_before_ns_);
  if (next == Deadlines::kNever) return -1;
  if (next <= now_ns) return 0;
  return static_cast<int>(std::min<uint64_t>((next - now_ns + 999'999) / 1'000'000, 60'000));
}

void Supervisor::command_started(uint32_t slot, uint16_t cid, uint32_t deadline_ms) {
  if (deadlines_.start(slot, cid, now() + uint64_t{deadline_ms} * 1'000'000)) wake();
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
