// The KV namespace as a host sees it: commands over the queue of a device.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>

#include "core/kv/kv_namespace.h"
#include "test_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

class KvDir {
 public:
  KvDir() {
    char dir[] = "/tmp/millrace-kv-XXXXXX";
    CHECK(::mkdtemp(dir) != nullptr);
    dir_ = dir;
  }
  ~KvDir() { std::filesystem::remove_all(dir_); }
  std::string file() const { return dir_ + "/namespace-5"; }

 private:
  std::string dir_;
};

class KvDevice : public TestDevice {
 public:
  explicit KvDevice(const KvDir& dir, uint64_t bytes = 64ull << 20)
      : TestDevice(0, 16ull << 20, false, [&](DeviceSettings& s) {
          s.kv_file = dir.file();
          s.kv_bytes = bytes;
        }) {}
};

wire::Sqe command(uint32_t opc, const std::string& key, uint32_t bytes = 0, uint32_t options = 0) {
  wire::Sqe sqe{};
  sqe.opc = static_cast<uint8_t>(opc);
  sqe.nsid = wire::kNsidKv;
  unsigned char k[16] = {};
  std::memcpy(k, key.data(), std::min<size_t>(16, key.size()));
  std::memcpy(&sqe.cdw2, k, 4);
  std::memcpy(&sqe.cdw3, k + 4, 4);
  std::memcpy(&sqe.cdw14, k + 8, 4);
  std::memcpy(&sqe.cdw15, k + 12, 4);
  sqe.cdw10 = bytes;
  sqe.cdw11 = static_cast<uint32_t>(key.size()) | options << 8;
  return sqe;
}

uint32_t store(Host& host, const std::string& key, const std::string& value, uint32_t options = 0, uint64_t at = 0) {
  std::memcpy(host.data(at), value.data(), value.size());
  return host.run(1, command(wire::kKvOpcodeStore, key, static_cast<uint32_t>(value.size()), options), at, value.size()).status;
}
std::pair<Answer, std::string> retrieve(Host& host, const std::string& key, uint32_t bytes) {
  std::memset(host.data(), '#', bytes);
  const Answer answer = host.run(1, command(wire::kKvOpcodeRetrieve, key, bytes), 0, bytes);
  const size_t moved = answer.status == 0 ? std::min<size_t>(bytes, answer.dw0) : 0;
  for (size_t i = moved; i < bytes; i++) CHECK(host.data()[i] == std::byte{'#'});
  return {answer, std::string(reinterpret_cast<char*>(host.data()), moved)};
}
std::vector<std::string> list(Host& host, const std::string& from, uint32_t bytes) {
  std::memset(host.data(), '#', bytes + 64);
  const Answer answer = host.run(1, command(wire::kKvOpcodeList, from, bytes), 0, bytes);
  CHECK(answer.status == 0 && answer.dw0 >= 4 && answer.dw0 <= bytes);
  uint32_t count = 0;
  std::memcpy(&count, host.data(), 4);
  std::vector<std::string> keys;
  uint32_t at = 4;
  for (uint32_t i = 0; i < count; i++) {
    uint16_t length = 0;
    std::memcpy(&length, host.data(at), 2);
    CHECK(length >= 1 && length <= 16);
    keys.emplace_back(reinterpret_cast<char*>(host.data(at + 2)), length);
    for (uint32_t pad = at + 2 + length; pad < (at + 2 + length + 3) / 4 * 4; pad++) CHECK(host.data()[pad] == std::byte{0});
    at = (at + 2 + length + 3) / 4 * 4;
  }
  CHECK(at == answer.dw0);
  for (uint32_t i = at; i < bytes + 64; i++) CHECK(host.data()[i] == std::byte{'#'});
  return keys;
}
uint32_t remove(Host& host, const std::string& key) { return host.run(1, command(wire::kKvOpcodeDelete, key)).status; }
uint32_t exist(Host& host, const std::string& key) { return host.run(1, command(wire::kKvOpcodeExist, key)).status; }
uint32_t flush(Host& host) { return host.run(1, command(wire::kKvOpcodeFlush, "")).status; }

std::string random_text(Random& random, size_t bytes) {
  std::string text(bytes, 0);
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

}  // namespace

TEST(kv_answers_each_command_with_its_status) {
  KvDir dir;
  KvDevice d(dir, 4ull << 20);
  Host host(attach(d));
  CHECK(exist(host, "a") == wire::kStatusKeyNotFound);
  CHECK(remove(host, "a") == wire::kStatusKeyNotFound);
  CHECK(retrieve(host, "a", 64).first.status == wire::kStatusKeyNotFound);
  CHECK(store(host, "a", "x", wire::kKvStoreOptionOnlyIfExists) == wire::kStatusKeyNotFound);
  CHECK(store(host, "a", "one", wire::kKvStoreOptionOnlyIfAbsent) == 0);
  CHECK(store(host, "a", "two", wire::kKvStoreOptionOnlyIfAbsent) == wire::kStatusKeyExists);
  CHECK(exist(host, "a") == 0);
  auto [answer, value] = retrieve(host, "a", 64);
  CHECK(answer.status == 0 && answer.dw0 == 3 && value == "one");
  CHECK(store(host, "a", "three", wire::kKvStoreOptionOnlyIfExists | wire::kKvStoreOptionNoCompression) == 0);
  std::tie(answer, value) = retrieve(host, "a", 2);  // a short buffer: its part, and the whole length
  CHECK(answer.status == 0 && answer.dw0 == 5 && value == "th");
  std::tie(answer, value) = retrieve(host, "a", 0);
  CHECK(answer.status == 0 && answer.dw0 == 5 && value.empty());
  CHECK(store(host, "empty", "") == 0);
  std::tie(answer, value) = retrieve(host, "empty", 8);
  CHECK(answer.status == 0 && answer.dw0 == 0);

  // Every field that can be wrong.
  CHECK(store(host, "", "x") == wire::kStatusInvalidKeySize);
  CHECK(store(host, std::string(17, 'k'), "x") == wire::kStatusInvalidKeySize);
  CHECK(exist(host, std::string(255, 'k')) == wire::kStatusInvalidKeySize);
  CHECK(list(host, "", 64).size() == 2);
  CHECK(host.run(1, command(wire::kKvOpcodeList, std::string(17, 'k'), 64), 0, 64).status == wire::kStatusInvalidKeySize);
  CHECK(host.run(1, command(wire::kKvOpcodeStore, "k", kKvValueBytesMax + 1), 0, 3 << 20).status == wire::kStatusInvalidValueSize);
  CHECK(host.run(1, command(wire::kKvOpcodeRetrieve, "a", kKvValueBytesMax + 1), 0, 3 << 20).status == wire::kStatusInvalidField);
  CHECK(host.run(1, command(wire::kKvOpcodeStore, "k", 100), 0, 99).status == wire::kStatusDataSglLengthInvalid);
  CHECK(host.run(1, command(wire::kKvOpcodeRetrieve, "a", 100), 0, 99).status == wire::kStatusDataSglLengthInvalid);
  CHECK(host.run(1, command(wire::kKvOpcodeStore, "k", 100), ~0ull, 100).status == wire::kStatusInvalidField);
  CHECK(host.run(1, command(wire::kKvOpcodeList, "k", 3), 0, 64).status == wire::kStatusInvalidField);
  CHECK(store(host, "k", "x", wire::kKvStoreOptionOnlyIfExists | wire::kKvStoreOptionOnlyIfAbsent) == wire::kStatusInvalidField);
  for (uint32_t bit = 3; bit < 24; bit++) CHECK(store(host, "k", "x", 1u << bit) == wire::kStatusInvalidField);
  for (uint32_t bit = 1; bit < 24; bit++) CHECK(host.run(1, command(wire::kKvOpcodeRetrieve, "a", 8, 1u << bit), 0, 8).status == wire::kStatusInvalidField);
  for (const uint32_t opc : {wire::kKvOpcodeStore, wire::kKvOpcodeRetrieve, wire::kKvOpcodeList, wire::kKvOpcodeDelete, wire::kKvOpcodeExist}) {
    for (int field = 0; field < 4; field++) {
      wire::Sqe sqe = command(opc, "a", opc == wire::kKvOpcodeDelete || opc == wire::kKvOpcodeExist ? 0 : 8);
      if (field == 0) sqe.cdw12 = 1;
      if (field == 1) sqe.cdw13 = 1u << 31;
      if (field == 2) sqe.mptr = 1;
      if (field == 3) sqe.flags = 1;
      CHECK(host.run(1, sqe, 0, 8).status == wire::kStatusInvalidField);
    }
  }
  CHECK(host.run(1, command(0x7e, "a")).status == wire::kStatusInvalidOpcode);
  CHECK(flush(host) == 0);
  CHECK(exist(host, "k") == wire::kStatusKeyNotFound);  // nothing refused left a trace
  CHECK(remove(host, "a") == 0 && exist(host, "a") == wire::kStatusKeyNotFound);
}

TEST(kv_without_a_file_is_no_namespace) {
  TestDevice d(0);
  Host host(attach(d));
  CHECK(exist(host, "a") == wire::kStatusInvalidNamespace);
  CHECK(flush(host) == wire::kStatusInvalidNamespace);
}

TEST(kv_changes_are_durable_at_once_without_a_write_cache_and_flushed_with_all_namespaces) {
  KvDir dir;
  KvDevice d(dir);
  Host host(attach(d));
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeFlush;
  sqe.nsid = wire::kNsidAll;
  CHECK(host.run(1, sqe).status == 0);
  sqe = {};
  sqe.opc = wire::kOpcodeAdminSetFeatures;
  sqe.cdw10 = wire::kFidVolatileWriteCache;
  CHECK(host.run(0, sqe).status == 0);
  CHECK(store(host, "a", "x") == 0 && remove(host, "a") == 0 && remove(host, "a") == wire::kStatusKeyNotFound);
}

TEST(kv_refuses_what_exceeds_its_capacity_and_counts_again_after_any_end) {
  KvDir dir;
  const std::string big(512 << 10, 'b');
  {
    KvDevice d(dir, 1ull << 20);
    Host host(attach(d));
    CHECK(store(host, "a", big) == 0);
    CHECK(store(host, "b", big) == wire::kStatusCapacityExceeded);  // the keys count too
    CHECK(store(host, "b", big.substr(2)) == 0);
    CHECK(d.device->kv()->used_bytes() == 1ull << 20);
    CHECK(store(host, "c", "") == wire::kStatusCapacityExceeded);
    CHECK(store(host, "a", big.substr(1)) == 0);
    CHECK(store(host, "c", "") == 0);
    CHECK(remove(host, "b") == 0);
    wire::Sqe sqe{};
    sqe.opc = wire::kOpcodeAdminIdentify;
    sqe.nsid = wire::kNsidKv;
    sqe.cdw10 = wire::kCnsCsNamespace;
    sqe.cdw11 = uint32_t{wire::kCsiKv} << 24;
    CHECK(host.run(0, sqe, 0, 4096).status == 0);
    wire::KvIdentifyNamespace page;
    std::memcpy(&page, host.data(), sizeof page);
    CHECK(page.nsze == 1ull << 20 && page.nuse == (512 << 10) + 1 && page.key_bytes_max == 16 && page.value_bytes_max == 2u << 20);
  }
  {
    // As after a crash: the log is left and nothing was written down at the end.
    KvDevice d(dir, 1ull << 20);
    CHECK(d.device->kv()->used_bytes() == (512 << 10) + 1);
    const std::string copy = dir.file() + "-copy";
    for (const char* part : {"", "-wal"}) std::filesystem::copy_file(dir.file() + part, copy + part);
    KvNamespace kv(copy, kKvBytesMin);
    CHECK(kv.used_bytes() == (512 << 10) + 1);
  }
}

TEST(kv_equals_a_map_over_restarts) {
  KvDir dir;
  Random random(21);
  std::map<std::string, std::string> model;
  const auto key_of = [&] {
    std::string key(1 + random.below(16), static_cast<char>("\x00 a\xff"[random.below(4)]));
    key.back() = static_cast<char>("\x00z"[random.below(2)]);
    return key;
  };
  for (int life = 0; life < 4; life++) {
    KvDevice d(dir);
    Host host(attach(d));
    for (int step = 0; step < 250; step++) {
      const std::string key = key_of();
      const auto found = model.find(key);
      switch (random.below(6)) {
        case 0:
        case 1: {
          const uint32_t options = random.below(4) == 3 ? 0 : random.below(3);
          const std::string value = random_text(random, random.below(8) == 0 ? random.below(200'000) : random.below(9000));
          const uint32_t expected = options == 1 && found == model.end() ? wire::kStatusKeyNotFound : options == 2 && found != model.end() ? wire::kStatusKeyExists : 0u;
          CHECK(store(host, key, value, options) == expected);
          if (expected == 0) model[key] = value;
          break;
        }
        case 2:
          CHECK(remove(host, key) == (found == model.end() ? wire::kStatusKeyNotFound : 0u));
          model.erase(key);
          break;
        case 3: CHECK(exist(host, key) == (found == model.end() ? wire::kStatusKeyNotFound : 0u)); break;
        case 4: {
          const uint32_t bytes = random.below(3) == 0 ? random.below(64) : 256 << 10;
          const auto [answer, value] = retrieve(host, key, bytes);
          CHECK(answer.status == (found == model.end() ? wire::kStatusKeyNotFound : 0u));
          if (found != model.end()) CHECK(answer.dw0 == found->second.size() && value == found->second.substr(0, bytes));
          break;
        }
        default: {
          const uint32_t bytes = 4 + random.below(400);
          const auto keys = list(host, key, bytes);
          auto at = model.lower_bound(key);
          uint32_t used = 4;
          for (const std::string& k : keys) {
            CHECK(at != model.end() && at->first == k);
            used += static_cast<uint32_t>((2 + k.size() + 3) / 4 * 4);
            ++at;
          }
          CHECK(at == model.end() || used + (2 + at->first.size() + 3) / 4 * 4 > bytes);
        }
      }
    }
    uint64_t bytes = 0;
    for (const auto& [k, v] : model) bytes += k.size() + v.size();
    CHECK(d.device->kv()->used_bytes() == bytes);
  }
}

TEST(kv_lists_more_keys_than_one_turn_takes) {
  KvDir dir;
  KvDevice d(dir);
  Host host(attach(d));
  constexpr uint32_t kKeys = 5000;
  std::vector<uint16_t> sent;
  for (uint32_t i = 0; i < kKeys; i++) {
    char key[16];
    std::snprintf(key, sizeof key, "%08u", static_cast<uint32_t>(i * 2654435761ull % kKeys));
    sent.push_back(host.send(1, command(wire::kKvOpcodeStore, std::string(key, 8), 8), 0, 8));
    if (sent.size() == 48) {
      for (const uint16_t cid : sent) CHECK(host.wait(cid).status == 0);
      sent.clear();
    }
  }
  for (const uint16_t cid : sent) CHECK(host.wait(cid).status == 0);
  const auto keys = list(host, "", 1 << 20);
  CHECK(keys.size() == kKeys && std::is_sorted(keys.begin(), keys.end()));
  CHECK(list(host, "00004990", 1 << 20).size() == 10);
  CHECK(list(host, "1", 1 << 20).empty());
}

TEST(kv_serves_hosts_at_once_and_never_mixes_values) {
  KvDir dir;
  KvDevice d(dir, 1ull << 30);
  constexpr int kHosts = 4;
  std::vector<std::thread> threads;
  for (int h = 0; h < kHosts; h++)
    threads.emplace_back([&, h] {
      Host host(attach(d));
      Random random(static_cast<uint64_t>(100 + h));
      for (int i = 0; i < 150; i++) {
        const std::string key = "shared" + std::to_string(random.below(5));
        const std::string value(1000 + random.below(30'000), static_cast<char>('a' + random.below(26)));
        if (random.below(2) == 0) CHECK(store(host, key, value) == 0);
        else if (const auto [answer, got] = retrieve(host, key, 64 << 10); answer.status == 0) CHECK(got.size() == answer.dw0 && got.find_first_not_of(got[0]) == std::string::npos);
        else CHECK(answer.status == wire::kStatusKeyNotFound);
        if (i % 40 == 0) CHECK(flush(host) == 0);
      }
    });
  for (auto& thread : threads) thread.join();
}

TEST(kv_survives_a_host_that_writes_into_what_is_being_stored_and_one_that_leaves) {
  KvDir dir;
  KvDevice d(dir);
  Host host(attach(d));
  const std::string value(1 << 20, 'v');
  {
    Host hostile(attach(d));
    std::memset(hostile.data(), 'x', 1 << 20);
    // A process of its own, as hosts are: it shares nothing with the device but this memory.
    const pid_t writer = ::fork();
    CHECK(writer >= 0);
    if (writer == 0)
      for (unsigned char c = 0;; c++) __atomic_store_n(reinterpret_cast<unsigned char*>(hostile.data(512 << 10)), c, __ATOMIC_RELAXED);
    for (int i = 0; i < 20; i++) {
      CHECK(hostile.run(1, command(wire::kKvOpcodeStore, "torn", 4096), 510 << 10, 4096).status == 0);
      CHECK(retrieve(host, "torn", 8192).first.status == 0);  // some of its bytes, checksummed as they were taken
    }
    ::kill(writer, SIGKILL);
    CHECK(::waitpid(writer, nullptr, 0) == writer);
    for (int i = 0; i < 30; i++) hostile.send(1, command(wire::kKvOpcodeStore, "left", 1 << 20), 0, 1 << 20);
  }
  CHECK(store(host, "mine", value.substr(0, 100)) == 0);
  CHECK(retrieve(host, "mine", 200).second == value.substr(0, 100));
}

TEST(kv_tells_a_damaged_value_from_a_good_one) {
  KvDir dir;
  {
    KvDevice d(dir);
    Host host(attach(d));
    CHECK(store(host, "good", std::string(100, 'g')) == 0);
    CHECK(store(host, "bad", std::string(3000, '\x5a')) == 0);
  }
  std::fstream file(dir.file(), std::ios::in | std::ios::out | std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const size_t at = bytes.find(std::string(2000, '\x5a'));
  CHECK(at != std::string::npos);
  file.clear();
  file.seekp(static_cast<std::streamoff>(at + 1000));
  file.put('\x5b');
  file.close();
  KvDevice d(dir);
  Host host(attach(d));
  CHECK(retrieve(host, "bad", 4096).first.status == wire::kStatusUnrecoveredError);
  CHECK(retrieve(host, "good", 4096).second == std::string(100, 'g'));
  CHECK(exist(host, "bad") == 0);
  CHECK(store(host, "bad", "new") == 0 && retrieve(host, "bad", 16).second == "new");
}

TEST(kv_file_belongs_to_one_device_and_is_no_other_kind_of_file) {
  KvDir dir;
  { std::ofstream(dir.file()) << std::string(8192, 'n'); }
  bool refused = false;
  try {
    KvNamespace kv(dir.file(), kKvBytesMin);
  } catch (const std::exception&) {
    refused = true;
  }
  CHECK(refused);
}
