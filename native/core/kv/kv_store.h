// The keys and values, in one SQLite file with a write-ahead log: a change is a transaction in the log, durable after sync().
#pragma once
#include <atomic>
#include <memory>
#include <span>
#include <string>

#include "core/kv/kv_key.h"
#include "core/kv/sqlite_connection.h"
#include "core/unique_fd.h"

namespace millrace {

struct KvAnswer {
  uint32_t status = wire::kStatusSuccess;
  uint32_t dw0 = 0;
  /** Data written for the host. */
  uint64_t host_bytes = 0;
};

/** The writer's side. One thread. */
class KvWriter {
 public:
  /** Makes the file where there is none. Throws std::exception. */
  KvWriter(const std::string& path, uint64_t capacity_bytes);
  /** Writes down how much is used, so that the next start need not count. */
  ~KvWriter();

  /** Between begin and end changes are one transaction; end gives the status of all of them, and nothing of them happened unless it is Success. */
  uint32_t begin();
  uint32_t end();
  /** What happened since begin() did not. */
  void undo();
  /** False after a change failed so badly that the whole transaction is gone: undo() and do it again. */
  bool going_on() const { return sqlite3_get_autocommit(db_.get()) == 0; }
  KvAnswer store(const KvKey& key, std::span<const unsigned char> value, uint32_t options);
  KvAnswer remove(const KvKey& key);

  /** Bytes of keys and values. Any thread; counts what end() made true. */
  uint64_t used_bytes() const { return used_published_.load(std::memory_order_relaxed); }
  uint64_t capacity_bytes() const { return capacity_bytes_; }
  /** Pages in the log after the last transaction. */
  int log_pages() const { return log_pages_; }

 private:
  void prepare();
  SqliteConnection db_;
  const uint64_t capacity_bytes_;
  uint64_t used_ = 0;
  uint64_t used_before_ = 0;
  std::atomic<uint64_t> used_published_{0};
  int log_pages_ = 0;
  SqliteStatement begin_, commit_, rollback_, find_, insert_, update_, remove_;
};

/** A reader's side. One thread; sees every transaction ended before the call. */
class KvReader {
 public:
  explicit KvReader(const std::string& path);
  KvAnswer retrieve(const KvKey& key, std::span<std::byte> data);
  KvAnswer exist(const KvKey& key);
  /** A List under way: `keys` entries stand in the first `bytes` bytes of the data. */
  struct Listing {
    uint32_t keys = 0;
    uint64_t bytes = sizeof(wire::KvKeyList);
    bool after = false;  // `from` was listed itself
    bool ended = false;
  };
  /** Goes on for kKvListTurnKeys keys from `from`, which it moves. The count is written when the listing ended. */
  KvAnswer list(KvKey& from, Listing& listing, std::span<std::byte> data);

 private:
  SqliteConnection db_;
  SqliteStatement value_, exists_, from_, after_;
};

/** Makes durable: one call after the other, any thread. */
class KvLog {
 public:
  /** After a KvWriter was made. Throws std::exception. */
  explicit KvLog(const std::string& path);
  /** Everything ended before is on the media. */
  uint32_t sync();

 private:
  UniqueFd fd_;
  std::atomic<bool> failed_{false};
};

}  // namespace millrace
