// A device on a temporary file and a host that speaks to it synchronously.
#pragma once
#include <stdlib.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/crc32c.h"
#include "core/device/device.h"
#include "slot_peer.h"

namespace millrace::test {

class TestDevice {
 public:
  explicit TestDevice(uint32_t slots = 2, uint64_t slm_bytes = 16ull << 20, bool listen = false, const std::function<void(DeviceSettings&)>& change = {}) {
    char dir[] = "/tmp/millrace-core-XXXXXX";
    CHECK(::mkdtemp(dir) != nullptr);
    dir_ = dir;
    DeviceSettings s;
    s.backing_file = dir_ + "/nvm";
    s.capacity_bytes = 64ull << 20;
    s.raw_file = dir_ + "/raw";
    s.raw_bytes = 16ull << 20;
    s.slm_bytes = slm_bytes;
    s.io_threads = 2;
    s.slots = slots;
    s.morsel_deadline_ms = 1000;
    if (listen) s.socket_path = socket_path();
    if (change) change(s);
    device = std::make_unique<Device>(
        s,
        [this](const char* kind, std::string detail) {
          const std::lock_guard lock(events_mutex);
          events.push_back(std::string(kind) + ": " + detail);
        },
        [](const SlotSettings& settings, SlotEngine& engine) { return std::make_unique<PeerSupervisor>(settings, engine); });
  }
  ~TestDevice() {
    device.reset();
    std::filesystem::remove_all(dir_);
  }
  std::string backing_file() const { return dir_ + "/nvm"; }
  std::string socket_path() const { return dir_ + "/socket"; }

  std::unique_ptr<Device> device;
  std::mutex events_mutex;
  std::vector<std::string> events;

 private:
  std::string dir_;
};

/** For TestDevice: with namespace 5. */
inline void with_keys(DeviceSettings& s) {
  s.kv_file = s.backing_file + "-keys";
  s.kv_bytes = 4 << 20;
}

struct Answer {
  uint32_t status;
  uint32_t dw0;
  uint32_t dw1;
  /** Do Not Retry. */
  bool final = false;
};

class Host {
 public:
  explicit Host(std::unique_ptr<ClientLink> link) : link_(std::move(link)) {}

  /** Data goes to and from offset `at`. */
  uint16_t send(uint32_t queue, wire::Sqe sqe, uint64_t at = 0, uint64_t bytes = 0);
  /** Waits for that command. */
  Answer wait(uint16_t cid);
  Answer run(uint32_t queue, wire::Sqe sqe, uint64_t at = 0, uint64_t bytes = 0) { return wait(send(queue, sqe, at, bytes)); }
  bool done(uint16_t cid);
  std::byte* data(uint64_t at = 0) { return link_->data() + at; }
  ClientLink& link() { return *link_; }

  void load(uint32_t index, char act);
  /** Row groups of `columns` columns of random bytes; gives the sums per row group. */
  std::vector<uint64_t> put_dataset(Device& device, uint32_t handle, uint32_t columns, uint32_t row_groups, uint32_t chunk_bytes, Random& random);
  /** On whose behalf open() asks. */
  uint32_t tenant = 0;
  Answer open(uint32_t dataset, uint32_t program, uint32_t flags, uint32_t columns, uint32_t row_groups, uint64_t limit = 0);
  Answer scan(uint32_t opc, uint32_t id, uint32_t cdw11, uint64_t at, uint64_t bytes);
  std::vector<uint32_t> claim(uint32_t id, uint32_t wanted);
  uint32_t words(uint32_t opc, uint32_t id, const std::vector<uint32_t>& values, uint32_t count);

  struct Result {
    std::map<uint32_t, std::vector<uint64_t>> values;  // per morsel, in sequence order
    std::map<uint32_t, uint32_t> faults;
    uint32_t device_ran = 0;
    bool ended = false;
  };
  /** Reads frames of a ScanResult's answer at data offset `at`. */
  void read_frames(uint32_t id, const Answer& answer, uint64_t at, Result& into);
  /** ScanResult until the end. */
  Result drain(uint32_t id, uint64_t bytes = 64 << 10);

 private:
  void pump(bool block);
  std::unique_ptr<ClientLink> link_;
  std::map<uint16_t, Answer> answers_;
  uint16_t next_cid_ = 0;
  uint32_t next_block_ = 0;
};

inline std::unique_ptr<ClientLink> attach(TestDevice& d) { return d.device->attach(64, 4 << 20); }

}  // namespace millrace::test
