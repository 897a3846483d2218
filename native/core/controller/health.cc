#include "core/controller/health.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <system_error>

#include "core/crc32c.h"
#include "core/unique_fd.h"

namespace millrace {

namespace {

uint32_t checksum(const wire::HealthRecord& record) { return crc32c(&record, offsetof(wire::HealthRecord, crc32c)); }

bool read_record(const std::string& path, wire::HealthRecord& record) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd && ::pread(fd.get(), &record, sizeof record, 0) == static_cast<ssize_t>(sizeof record) && record.magic == wire::kHealthRecordMagic && record.crc32c == checksum(record);
}

uint64_t commands_of(const Counters& counters, std::initializer_list<Command> commands) {
  uint64_t sum = 0;
  for (const auto kind : {QueueKind::kDaemon, QueueKind::kLocal})
    for (const Command command : commands) sum += Counters::get(counters.commands[static_cast<size_t>(kind)][static_cast<size_t>(command)]);
  return sum;
}

}  // namespace

Health::Health(std::string path, std::string media_directory, const Counters& counters, uint32_t save_ms) : path_(std::move(path)), media_directory_(std::move(media_directory)), counters_(counters) {
  wire::HealthRecord r{};
  if (read_record(path_, r)) {
    std::copy(std::begin(r.identity), std::end(r.identity), identity_.begin());
    before_ = {r.read_bytes, r.written_bytes, r.read_commands, r.write_commands, r.busy_ns, r.power_cycles, r.power_on_ns, r.unsafe_shutdowns, r.media_errors, r.error_entries};
    if (r.orderly == 0) before_.unsafe_shutdowns++;
  } else {
    if (::getrandom(identity_.data(), identity_.size(), 0) != static_cast<ssize_t>(identity_.size())) throw std::system_error(errno, std::generic_category(), "getrandom");
    identity_[6] = static_cast<uint8_t>((identity_[6] & 0x0f) | 0x40);  // a random UUID (RFC 9562, version 4)
    identity_[8] = static_cast<uint8_t>((identity_[8] & 0x3f) | 0x80);
  }
  before_.power_cycles++;
  save(false);
  saver_ = std::thread([this, save_ms] { run(save_ms); });
}

Health::~Health() {
  {
    const std::lock_guard lock(ending_mutex_);
    ending_ = true;
  }
  ending_changed_.notify_one();
  saver_.join();
  save(true);
}

void Health::run(uint32_t save_ms) {
  std::unique_lock lock(ending_mutex_);
  while (!ending_changed_.wait_for(lock, std::chrono::milliseconds(save_ms), [this] { return ending_; })) {
    lock.unlock();
    save(false);
    lock.lock();
  }
}

Health::Totals Health::since_start() const {
  Totals t;
  t.read_bytes = Counters::get(counters_.host_read_bytes);
  t.written_bytes = Counters::get(counters_.host_written_bytes);
  t.read_commands = commands_of(counters_, {Command::kRead});
  t.write_commands = commands_of(counters_, {Command::kWrite});
  t.busy_ns = Counters::get(counters_.busy_ns);
  t.power_on_ns = monotonic_ns() - started_ns_;
  t.media_errors = Counters::get(counters_.media_errors);
  t.error_entries = Counters::get(counters_.error_entries);
  return t;
}

Health::Totals Health::totals() const {
  Totals t = since_start();
  t.read_bytes += before_.read_bytes;
  t.written_bytes += before_.written_bytes;
  t.read_commands += before_.read_commands;
  t.write_commands += before_.write_commands;
  t.busy_ns += before_.busy_ns;
  t.power_cycles = before_.power_cycles;
  t.power_on_ns += before_.power_on_ns;
  t.unsafe_shutdowns = before_.unsafe_shutdowns;
  t.media_errors += before_.media_errors;
  t.error_entries += before_.error_entries;
  return t;
}

uint8_t Health::spare_percent() const {
  const uint64_t unbacked = unbacked_bytes_ ? unbacked_bytes_() : 0;
  struct statvfs fs {};
  if (unbacked == 0 || ::statvfs(media_directory_.c_str(), &fs) != 0) return 100;
  const double free_bytes = static_cast<double>(fs.f_bavail) * static_cast<double>(fs.f_frsize);
  return static_cast<uint8_t>(std::min(100.0, 100.0 * free_bytes / static_cast<double>(unbacked)));
}

uint8_t Health::critical_warning() const {
  uint8_t warning = 0;
  if (spare_percent() < kSpareThresholdPercent) warning |= kWarningSpare;
  if (Counters::get(counters_.media_errors) > 0) warning |= kWarningReliability;
  return warning;
}

void Health::save(bool orderly) const {
  const std::lock_guard lock(mutex_);
  const Totals t = totals();
  wire::HealthRecord r{};
  r.magic = wire::kHealthRecordMagic;
  r.orderly = orderly ? 1 : 0;
  std::copy(identity_.begin(), identity_.end(), std::begin(r.identity));
  r.read_bytes = t.read_bytes;
  r.written_bytes = t.written_bytes;
  r.read_commands = t.read_commands;
  r.write_commands = t.write_commands;
  r.busy_ns = t.busy_ns;
  r.power_cycles = t.power_cycles;
  r.power_on_ns = t.power_on_ns;
  r.unsafe_shutdowns = t.unsafe_shutdowns;
  r.media_errors = t.media_errors;
  r.error_entries = t.error_entries;
  r.crc32c = checksum(r);
  // Counting is not worth a failed device: where the file cannot be written, the last whole one stays.
  const std::string fresh = path_ + ".new";
  const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd || ::pwrite(fd.get(), &r, sizeof r, 0) != static_cast<ssize_t>(sizeof r) || ::fdatasync(fd.get()) != 0 || ::rename(fresh.c_str(), path_.c_str()) != 0) return;
  // The name too, or a power cut soon after the first start would cost the device its identity.
  const UniqueFd directory(::open(media_directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) ::fsync(directory.get());
}

}  // namespace millrace
