#include "core/slots/slot_process.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/model/clock.h"
#include "core/scan/fault_text.h"
#include "core/slots/spawn_arguments.h"
#include "core/slots/spawn_child.h"
#include "jail/slot_contract.h"

namespace millrace {

namespace {

constexpr uint16_t kReadyCid = 0;

/** R S D T t Z, or ? when it cannot be read. */
char state_of(int pid) {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid);
  const UniqueFd fd(::open(path.data(), O_RDONLY | O_CLOEXEC));
  std::array<char, 128> text{};
  const auto n = fd ? ::read(fd.get(), text.data(), text.size()) : 0;
  // "pid (name) state": the name may hold anything, at most 15 bytes of it.
  for (auto i = n; i > 2; i--)
    if (text[static_cast<size_t>(i - 3)] == ')' && text[static_cast<size_t>(i - 2)] == ' ') return text[static_cast<size_t>(i - 1)];
  return '?';
}

[[noreturn]] void fail(const char* what, int error = errno) { throw std::system_error(error, std::generic_category(), what); }

}  // namespace

std::unique_ptr<SlotProcess> SlotProcess::spawn(const SlotSettings& settings, const SlotSeat& seat) {
  std::unique_ptr<SlotProcess> p(new SlotProcess());
  p->seat_ = seat;
  p->memory_ = std::make_shared<SlotMemory>();
  p->memory_->memory = SharedMemory::create("millrace-slot", slot_ring_bytes() + kSlotDataBytes);
  p->memory_->wake = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  p->memory_->done = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!p->memory_->wake || !p->memory_->done) fail("eventfd");
  std::array<int, 2> pipe_fds{};
  if (::pipe2(pipe_fds.data(), O_CLOEXEC | O_NONBLOCK) != 0) fail("pipe2");
  p->stderr_ = UniqueFd(pipe_fds[0]);
  const UniqueFd stderr_of_child(pipe_fds[1]);

  const RingView ring = RingView::over(p->memory_->memory.data(), kSlotRingEntries, kSlotRingEntries);
  ring.describe(1, slot_ring_bytes(), kSlotDataBytes);
  p->header_ = ring.header;
  p->ring_ = Submitter(ring, Waker::event_fd(p->memory_->wake.get()), true);
  wire::Sqe identify{};
  identify.opc = wire::kOpcodeAdminIdentify;
  identify.cid = kReadyCid;
  identify.nsid = wire::kNsidCompute;
  p->ring_.submit(&identify, 1);
  p->ring_.arm();

  const UniqueFd null_in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd null_out(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!null_in || !null_out) fail("/dev/null");
  const SpawnArguments arguments(settings, seat);
  std::vector<ChildFd> fds = {{null_in.get(), 0}, {null_out.get(), 1}, {stderr_of_child.get(), 2}, {p->memory_->memory.fd(), kSlotFdRing},
                              {p->memory_->wake.get(), kSlotFdWake}, {p->memory_->done.get(), kSlotFdDone}, {seat.slm_fd, kSlotFdSlm}};
  if (seat.view) {
    fds.push_back({seat.view->media_fd(), kSlotFdMedia});
    // The list lies where modules come later; it is read before the first one does.
    auto* at = p->memory_->memory.data() + slot_ring_bytes();
    for (const MediaView::Extent& extent : seat.view->extents()) {
      const uint64_t pair[2] = {extent.media, extent.bytes};
      std::memcpy(at, pair, sizeof pair);
      at += sizeof pair;
    }
  }
  Child child = spawn_child(settings.launcher, arguments.argv(), arguments.envp(), fds);
  p->pid_ = child.pid;
  p->pidfd_ = std::move(child.pidfd);
  return p;
}

SlotProcess::~SlotProcess() {
  if (pid_ == 0 || reaped_) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

bool SlotProcess::take_ready() {
  uint64_t count;
  [[maybe_unused]] auto n = ::read(memory_->done.get(), &count, sizeof count);
  wire::Cqe answer;
  if (ring_.reap(&answer, 1) == 0) {
    // Woken without an answer (hostile or early): wait on.
    ring_.arm();
    return false;
  }
  if (answer.cid != kReadyCid || answer.status >> 1 != wire::kStatusSuccess) {
    kill();
    return false;
  }
  jail_ = answer.dw0;
  return true;
}

std::shared_ptr<SlotPort> SlotProcess::make_port(uint32_t id) {
  auto port = std::make_shared<SlotPort>();
  port->id = id;
  port->pid = pid_;
  port->bank = seat_.bank;
  port->view = seat_.view;
  port->ring = ring_;
  port->data = memory_->memory.data() + slot_ring_bytes();
  port->completion_fd = memory_->done.get();
  port->keep = memory_;
  return port;
}

Silence::Sight SlotProcess::sight(bool starting) const {
  // The slot writes these words: lying about them it only keeps the watchdog off, and its deadlines run all the same.
  const uint32_t fetched = shared_word(header_->executor_fetched).load(std::memory_order_acquire);
  const uint32_t ended = shared_word(header_->executor_ended).load(std::memory_order_acquire);
  const uint32_t given = shared_word(header_->sq_tail).load(std::memory_order_acquire);
  const Silence::Sight none{false, 0, 'S'};
  if (!starting && given == fetched && fetched == ended) return none;
  const Silence::Sight seen{true, process_cpu_ns(pid_), state_of(pid_)};
  // With a command under way it may sleep, until its output was drained; what it may not is be stopped by somebody.
  return starting || fetched == ended || seen.stopped() ? seen : none;
}

bool SlotProcess::stopped() const {
  const char state = state_of(pid_);
  return state == 'T' || state == 't';
}

void SlotProcess::stop_command(uint16_t cid) {
  // ORDER: release; the slot's stop thread reads it with acquire after the futex wakes it.
  shared_word(header_->cancel_word).store(cid + 1u, std::memory_order_release);
  ::syscall(SYS_futex, &header_->cancel_word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void SlotProcess::kill() { ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0); }

SlotProcess::End SlotProcess::reap() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
  End end;
  end.how = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status)) : "exit code " + std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  // Nobody sends a slot anything but SIGKILL and SIGSTOP, and itself it cannot send that. SIGBUS: the media under its view failed.
  end.by_itself = !(WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGBUS));
  end.out_of_memory = WIFEXITED(status) && WEXITSTATUS(status) == kSlotExitOutOfMemory;
  std::array<std::byte, kFaultTextBytesMax> words{};
  const auto n = ::read(stderr_.get(), words.data(), words.size());
  if (n > 0) end.words = fault_text(words.data(), static_cast<uint64_t>(n));
  return end;
}

}  // namespace millrace
