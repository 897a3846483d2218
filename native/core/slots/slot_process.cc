#include "core/slots/slot_process.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <system_error>
#include <vector>

#include "core/slots/spawn_arguments.h"
#include "jail/slot_contract.h"

namespace millrace {

namespace {

constexpr uint16_t kReadyCid = 0;

[[noreturn]] void fail(const char* what, int error = errno) { throw std::system_error(error, std::generic_category(), what); }

/** A copy far above the numbers the child gives its descriptors, so that no dup2 there hits a source of a later one. */
UniqueFd above_all(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 64));
  if (!copy) fail("fcntl F_DUPFD_CLOEXEC");
  return copy;
}

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void give(int fd, int as) {
    kept_.push_back(above_all(fd));
    ::posix_spawn_file_actions_adddup2(&actions_, kept_.back().get(), as);
  }
  void null(int as, int flags) { ::posix_spawn_file_actions_addopen(&actions_, as, "/dev/null", flags, 0); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
  std::vector<UniqueFd> kept_;
};

/** Signals start unblocked and at their defaults in the child, whatever the daemon's threads do with them. */
class SpawnAttributes {
 public:
  SpawnAttributes() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

}  // namespace

std::unique_ptr<SlotProcess> SlotProcess::spawn(const SlotSettings& settings) {
  std::unique_ptr<SlotProcess> p(new SlotProcess());
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

  FileActions actions;
  actions.null(0, O_RDONLY);
  actions.null(1, O_WRONLY);
  actions.give(stderr_of_child.get(), 2);
  actions.give(p->memory_->memory.fd(), kSlotFdRing);
  actions.give(p->memory_->wake.get(), kSlotFdWake);
  actions.give(p->memory_->done.get(), kSlotFdDone);
  actions.give(settings.slm_fd, kSlotFdSlm);
  const SpawnAttributes attributes;
  const SpawnArguments arguments(settings);
  const int error = ::posix_spawn(&p->pid_, settings.launcher.c_str(), actions.get(), attributes.get(), arguments.argv(), arguments.envp());
  if (error != 0) {
    p->pid_ = 0;
    fail(("starting " + settings.launcher).c_str(), error);
  }
  // Our child and not yet waited for: the number cannot have been reused.
  p->pidfd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, p->pid_, 0)));
  if (!p->pidfd_) fail("pidfd_open");
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
  port->ring = ring_;
  port->data = memory_->memory.data() + slot_ring_bytes();
  port->completion_fd = memory_->done.get();
  port->keep = memory_;
  return port;
}

void SlotProcess::stop_command(uint16_t cid) {
  // ORDER: release; the slot's stop thread reads it with acquire after the futex wakes it.
  shared_word(header_->cancel_word).store(cid + 1u, std::memory_order_release);
  ::syscall(SYS_futex, &header_->cancel_word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void SlotProcess::kill() { ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0); }

std::string SlotProcess::reap() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
  std::string how = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status)) : "exit code " + std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  std::array<char, 4096> words{};
  const auto n = ::read(stderr_.get(), words.data(), words.size());
  if (n > 0) {
    std::string text(words.data(), static_cast<size_t>(n));
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    for (char& c : text)
      if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    how += ": " + text.substr(0, 500);
  }
  return how;
}

}  // namespace millrace
