#include <fcntl.h>
#include <sys/stat.h>

#include <thread>

#include "test_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

wire::Sqe admin(uint32_t opc, uint32_t cdw10 = 0, uint32_t cdw11 = 0, uint32_t nsid = 0) {
  wire::Sqe sqe{};
  sqe.opc = static_cast<uint8_t>(opc);
  sqe.nsid = nsid;
  sqe.cdw10 = cdw10;
  sqe.cdw11 = cdw11;
  return sqe;
}

template <typename T>
T at(Host& host, size_t offset) {
  T value;
  std::memcpy(&value, host.data(offset), sizeof value);
  return value;
}

std::vector<std::byte> log_page(Host& host, uint32_t lid, uint32_t bytes, bool retain = false) {
  CHECK(host.run(0, admin(wire::kOpcodeAdminGetLogPage, lid | (bytes / 4 - 1) << 16 | (retain ? 1u << 15 : 0)), 0, bytes).status == 0);
  return {host.data(), host.data() + bytes};
}

}  // namespace

TEST(controller_identity_stays_over_restarts_and_counts_them) {
  std::string guid;
  char dir[] = "/tmp/millrace-core-XXXXXX";
  CHECK(::mkdtemp(dir) != nullptr);
  const std::string file = std::string(dir) + "/nvm";
  for (uint64_t start = 1; start <= 3; start++) {
    TestDevice d(0, 16ull << 20, false, [&](DeviceSettings& s) { s.backing_file = file; });
    Host host(attach(d));
    CHECK(host.run(0, admin(wire::kOpcodeAdminIdentify, wire::kCnsNamespace, 0, 1), 0, 4096).status == 0);
    const std::string now(reinterpret_cast<const char*>(host.data(104)), 16);
    CHECK(guid.empty() || guid == now);
    guid = now;
    const auto health = log_page(host, wire::kLidHealth, 512);
    uint64_t cycles = 0;
    uint64_t unsafe = 0;
    std::memcpy(&cycles, health.data() + 112, 8);
    std::memcpy(&unsafe, health.data() + 144, 8);
    CHECK(cycles == start && unsafe == 0);
  }
  std::filesystem::remove_all(dir);
}

TEST(controller_events_wait_for_what_happens_and_for_the_log_to_be_read) {
  TestDevice d(0);
  Host host(attach(d));
  std::vector<uint16_t> waiting;
  for (uint32_t i = 0; i < kAsyncEventsMax; i++) waiting.push_back(host.send(0, admin(wire::kOpcodeAdminAsyncEventRequest)));
  CHECK(host.run(0, admin(wire::kOpcodeAdminAsyncEventRequest)).status == wire::kStatusAsyncEventLimitExceeded);
  // One of them is taken back; what is not there cannot be.
  CHECK(host.run(0, admin(wire::kOpcodeAdminAbort, uint32_t{waiting.back()} << 16)).dw0 == 0);
  CHECK(host.wait(waiting.back()).status == wire::kStatusAbortRequested);
  CHECK(host.run(0, admin(wire::kOpcodeAdminAbort, uint32_t{waiting.back()} << 16)).dw0 == 1);

  // The media fails: a block behind the file's end. The first event is told, the second waits for the log to be read.
  struct stat st {};
  const std::string nvm = d.backing_file();
  CHECK(::stat(nvm.c_str(), &st) == 0 && ::truncate(nvm.c_str(), 4096) == 0);
  wire::Sqe read{};
  read.opc = wire::kOpcodeRead;
  read.nsid = wire::kNsidNvm;
  read.cdw10 = 5;
  CHECK(host.run(1, read, 0, 4096).status == wire::kStatusUnrecoveredRead);
  const Answer told = host.wait(waiting[0]);
  CHECK(told.status == 0 && told.dw0 == (1u | uint32_t{wire::kLidHealth} << 16));
  CHECK(host.run(1, read, 0, 4096).status == wire::kStatusUnrecoveredRead);
  log_page(host, wire::kLidHealth, 512, true);
  CHECK(!host.done(waiting[1]));
  const auto health = log_page(host, wire::kLidHealth, 512);
  CHECK((static_cast<uint8_t>(health[0]) & 4) != 0 && static_cast<uint8_t>(health[160]) == 2);
  CHECK(host.run(1, read, 0, 4096).status == wire::kStatusUnrecoveredRead);
  CHECK(host.wait(waiting[1]).dw0 == told.dw0);

  const auto errors = log_page(host, wire::kLidError, 4096);
  uint64_t count = 0;
  uint16_t status = 0;
  std::memcpy(&count, errors.data(), 8);
  std::memcpy(&status, errors.data() + 12, 2);
  CHECK(count == 4 && status >> 1 == wire::kStatusUnrecoveredRead);
  CHECK(::truncate(nvm.c_str(), st.st_size) == 0);
}

TEST(controller_keep_alive_ends_a_silent_host_and_no_other) {
  TestDevice d(0);
  Host silent(attach(d));
  Host other(attach(d));
  CHECK(silent.run(0, admin(wire::kOpcodeAdminSetFeatures, wire::kFidKeepAliveTimer, 1)).status == 0);
  CHECK(silent.run(0, admin(wire::kOpcodeAdminGetFeatures, wire::kFidKeepAliveTimer)).dw0 == kKeepAliveUnitMs);
  CHECK(other.run(0, admin(wire::kOpcodeAdminSetFeatures, wire::kFidKeepAliveTimer, kKeepAliveMsMax)).status == 0);
  while (d.device->associations() > 1) std::this_thread::yield();
  CHECK(other.run(0, admin(wire::kOpcodeAdminKeepAlive)).status == 0);
  const std::lock_guard lock(d.events_mutex);
  CHECK(d.events.size() == 1 && d.events[0].find("keep alive") != std::string::npos);
}

TEST(controller_keep_alive_timer_is_traffic_based) {
  KeepAlive timer;
  CHECK(!timer.runs());
  timer.start(100, 1000);
  CHECK(!timer.expired(1099) && timer.next_ns() == 1100);
  timer.command();
  CHECK(!timer.expired(1100) && timer.next_ns() == 1200);
  CHECK(timer.expired(1200));
  timer.start(0, 5);
  CHECK(!timer.runs());
}

TEST(controller_configuration_enables_resets_and_shuts_down) {
  const Subsystem subsystem;
  Controller c(subsystem, 1);
  CHECK(c.ready() && c.command_set_enabled(wire::kCsiKv) && c.weighted());
  c.begin_disabled();
  CHECK(!c.ready());
  CHECK(c.set_configuration(0x00460060) == Controller::Change::kNone);
  CHECK(c.set_configuration(0x00460061) == Controller::Change::kEnabled && c.ready() && !c.weighted());
  CHECK(c.set_configuration(0x00464061) == Controller::Change::kShutdown && c.property(Controller::kCsts) == (1u | 1u << 2));
  c.shutdown_done();
  CHECK(c.property(Controller::kCsts) == (1u | 2u << 2));
  CHECK(c.set_configuration(0x00460060) == Controller::Change::kReset);
  c.reset();
  CHECK(!c.ready());
  CHECK(c.set_configuration(0x00460001) == Controller::Change::kEnabled && !c.command_set_enabled(wire::kCsiSlm));
  c.begin_disabled();
  CHECK(c.set_configuration(0x00460081) == Controller::Change::kRefused && (c.property(Controller::kCsts) & 2u) != 0);
  CHECK((c.property(Controller::kCap) >> 43 & 1u) == 1 && Controller::property_bytes(0x10) == 0);
}

TEST(controller_event_queue_masks_by_type) {
  AsyncEvents events;
  std::optional<AsyncEvents::Answer> answer;
  CHECK(!events.raise({AsyncEventType::kNotice, 0, wire::kLidChangedNamespaces}));
  CHECK(!events.raise({AsyncEventType::kNotice, 1, wire::kLidFirmwareSlot}));
  CHECK(!events.raise({AsyncEventType::kHealth, 0, wire::kLidHealth, 4}));
  CHECK(events.request(1, answer) && answer && answer->cid == 1 && answer->dw0 == (2u | 4u << 16));
  CHECK(events.request(2, answer) && answer && answer->dw0 == (1u | 2u << 16));  // the second notice is held back, health is not
  CHECK(events.request(3, answer) && !answer);
  answer = events.log_read(wire::kLidChangedNamespaces);
  CHECK(answer && answer->cid == 3 && answer->dw0 == (2u | 1u << 8 | 3u << 16));
  events.enable(0);
  CHECK(events.request(4, answer) && !answer);
  events.log_read(wire::kLidHealth);
  CHECK(!events.raise({AsyncEventType::kHealth, 0, wire::kLidHealth, 4}));  // switched off
  CHECK(events.abort(4) && !events.abort(4));
}

namespace {
/** From now on the media behind the file takes nothing: where its descriptor was there is a pipe. */
void break_media(const std::string& path) {
  int ends[2];
  CHECK(::pipe(ends) == 0);
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path(), gone) == path) CHECK(::dup2(ends[1], std::stoi(entry.path().filename())) >= 0);
  }
  ::close(ends[0]);
  ::close(ends[1]);
}
}  // namespace

TEST(controller_tells_of_media_that_fails_behind_the_command) {
  TestDevice d(0);
  Host host(attach(d));
  wire::Sqe flush{};
  flush.opc = wire::kOpcodeFlush;
  flush.nsid = wire::kNsidRaw;
  CHECK(host.run(1, flush).status == 0);
  const std::string nvm = d.backing_file();
  break_media(nvm.substr(0, nvm.rfind('/')) + "/raw");
  const uint16_t waiting = host.send(0, admin(wire::kOpcodeAdminAsyncEventRequest));
  const Answer failed = host.run(1, flush);
  CHECK(failed.status == wire::kStatusWriteFault && !failed.final);
  CHECK(host.wait(waiting).dw0 == (1u | uint32_t{wire::kLidHealth} << 16));
  const auto health = log_page(host, wire::kLidHealth, 512);
  CHECK((static_cast<uint8_t>(health[0]) & Health::kWarningReliability) != 0 && static_cast<uint8_t>(health[160]) == 1);
  // The flush of all namespaces is told of it too, and so is what the flush thread does besides.
  const uint16_t next = host.send(0, admin(wire::kOpcodeAdminAsyncEventRequest));
  wire::Sqe zeroes{};
  zeroes.opc = wire::kOpcodeWriteZeroes;
  zeroes.nsid = wire::kNsidRaw;
  CHECK(host.run(1, zeroes).status == wire::kStatusWriteFault);
  CHECK(host.wait(next).dw0 == (1u | uint32_t{wire::kLidHealth} << 16));
  CHECK(static_cast<uint8_t>(log_page(host, wire::kLidHealth, 512)[160]) == 2);
}

TEST(controller_says_which_commands_would_fail_again) {
  TestDevice d(0);
  Host host(attach(d));
  Answer answer = host.run(0, admin(0x7c));
  CHECK(answer.status == wire::kStatusInvalidOpcode && answer.final);
  wire::Sqe read{};
  read.opc = wire::kOpcodeRead;
  read.nsid = wire::kNsidNvm;
  read.cdw10 = 1u << 30;
  answer = host.run(1, read, 0, 4096);
  CHECK(answer.status == wire::kStatusLbaOutOfRange && answer.final);
  CHECK(!host.run(0, admin(wire::kOpcodeAdminKeepAlive)).final);
  // May succeed another time: a limit that is reached, an abort.
  std::vector<uint16_t> waiting;
  for (uint32_t i = 0; i < kAsyncEventsMax; i++) waiting.push_back(host.send(0, admin(wire::kOpcodeAdminAsyncEventRequest)));
  answer = host.run(0, admin(wire::kOpcodeAdminAsyncEventRequest));
  CHECK(answer.status == wire::kStatusAsyncEventLimitExceeded && !answer.final);
  CHECK(host.run(0, admin(wire::kOpcodeAdminAbort, uint32_t{waiting[0]} << 16)).dw0 == 0);
  answer = host.wait(waiting[0]);
  CHECK(answer.status == wire::kStatusAbortRequested && !answer.final);
}

TEST(controller_describes_its_power_state_where_the_profile_says_it) {
  for (const bool modelled : {false, true}) {
    TestDevice d(0, 16ull << 20, false, [&](DeviceSettings& s) {
      if (modelled) s.model.power = {.idle_w = 0.03, .read_w = 5.2, .write_w = 5};
    });
    Host host(attach(d));
    CHECK(host.run(0, admin(wire::kOpcodeAdminIdentify, wire::kCnsController), 0, 4096).status == 0);
    CHECK(at<uint8_t>(host, 263) == 0 && at<uint8_t>(host, 265) == 0);  // NPSS, APSTA
    CHECK(at<uint16_t>(host, 2048) == (modelled ? 520 : 0) && at<uint16_t>(host, 2064) == (modelled ? 3 : 0) && at<uint8_t>(host, 2066) == (modelled ? 2u << 6 : 0));
    CHECK(at<uint8_t>(host, 2051) == 0);  // operational, 0.01 W
    // A workload hint stays until the reset; a state there is not is refused.
    CHECK(host.run(0, admin(wire::kOpcodeAdminSetFeatures, wire::kFidPowerManagement, 1u << 5)).status == 0);
    CHECK(host.run(0, admin(wire::kOpcodeAdminGetFeatures, wire::kFidPowerManagement)).dw0 == 1u << 5);
    const Answer refused = host.run(0, admin(wire::kOpcodeAdminSetFeatures, wire::kFidPowerManagement, 1));
    CHECK(refused.status == wire::kStatusInvalidField && refused.final);
    CHECK(host.run(0, admin(wire::kOpcodeAdminGetFeatures, wire::kFidPowerManagement)).dw0 == 1u << 5);
  }
}

TEST(health_is_written_while_the_device_runs) {
  char dir[] = "/tmp/millrace-core-XXXXXX";
  CHECK(::mkdtemp(dir) != nullptr);
  const std::string file = std::string(dir) + "/health";
  Counters counters;
  std::array<uint8_t, 16> identity{};
  {
    Health health(file, dir, counters, 1);
    identity = health.identity();
    Counters::add(counters.host_written_bytes, 4711);
    // As a kill would leave it: a copy of the file as it is now, until the count is there.
    for (uint64_t seen = 0; seen != 4711;) {
      std::error_code moved;
      std::filesystem::copy_file(file, file + ".killed", std::filesystem::copy_options::overwrite_existing, moved);
      if (moved) continue;
      Counters fresh;
      const Health after(file + ".killed", dir, fresh);
      CHECK(after.identity() == identity && after.totals().unsafe_shutdowns == 1);
      seen = after.totals().written_bytes;
    }
  }
  Counters fresh;
  const Health after(file, dir, fresh);
  CHECK(after.identity() == identity && after.totals().written_bytes == 4711 && after.totals().unsafe_shutdowns == 0 && after.totals().power_cycles == 2);
  std::filesystem::remove_all(dir);
}
