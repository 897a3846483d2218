#include "core/kv/kv_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/crc32c.h"
#include "core/kv/kv_status.h"

namespace millrace {

namespace {
constexpr int64_t kApplicationId = 0x4d524b56;  // "MRKV"
constexpr int64_t kFormat = 1;

// 8 KiB pages: of 4, 8 and 16 KiB the middle between a small store (one page to the log) and a long value (pages to write).
// The writer's connection syncs the log's header only, at a restart of the log; sync() does the rest when a host asks.
constexpr const char* kSettings =
    "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;";
// A row id between key and value: a value in the key's own tree (WITHOUT ROWID) made stores of 4 KiB and more twice as slow.
constexpr const char* kSchema =
    "PRAGMA synchronous = FULL; BEGIN; CREATE TABLE kv (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, crc INTEGER NOT NULL, value BLOB NOT NULL) STRICT;"
    "CREATE TABLE used (counted INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT; INSERT INTO used VALUES (1, 0);"
    "PRAGMA application_id = 1297238870; PRAGMA user_version = 1; COMMIT; PRAGMA synchronous = NORMAL;";

std::span<const unsigned char> bytes_of(const KvKey& key) { return {key.bytes.data(), key.length}; }
}  // namespace

KvWriter::KvWriter(const std::string& path, uint64_t capacity_bytes) : db_(path), capacity_bytes_(capacity_bytes) {
  try {
    prepare();
  } catch (const SqliteError& error) {
    if ((error.code & 0xff) == SQLITE_BUSY) throw std::runtime_error(path + " is in use by another device");
    throw std::runtime_error(path + ": " + error.what());
  }
}

void KvWriter::prepare() {
  db_.execute(kSettings);
  const bool fresh = db_.integer("PRAGMA user_version") == 0 && db_.integer("SELECT count(*) FROM sqlite_schema") == 0;
  if (fresh) db_.execute(kSchema);
  if (db_.integer("PRAGMA application_id") != kApplicationId) throw SqliteError(SQLITE_NOTADB, "is no KV namespace");
  if (db_.integer("PRAGMA user_version") != kFormat) throw SqliteError(SQLITE_NOTADB, "was written by a newer version");
  // A device that died did not write down how much it held: count.
  used_ = static_cast<uint64_t>(db_.integer("SELECT CASE counted WHEN 1 THEN bytes ELSE (SELECT coalesce(sum(length(key) + length(value)), 0) FROM kv) END FROM used"));
  used_published_.store(used_);
  db_.execute("PRAGMA synchronous = FULL; UPDATE used SET counted = 0; PRAGMA synchronous = NORMAL;");
  sqlite3_wal_hook(db_.get(), [](void* self, sqlite3*, const char*, int pages) { return static_cast<KvWriter*>(self)->log_pages_ = pages, SQLITE_OK; }, this);
  sqlite3* db = db_.get();
  begin_ = SqliteStatement(db, "BEGIN IMMEDIATE");
  commit_ = SqliteStatement(db, "COMMIT");
  rollback_ = SqliteStatement(db, "ROLLBACK");
  find_ = SqliteStatement(db, "SELECT id, length(value) FROM kv WHERE key = ?1");
  insert_ = SqliteStatement(db, "INSERT INTO kv (key, crc, value) VALUES (?1, ?2, ?3)");
  update_ = SqliteStatement(db, "UPDATE kv SET crc = ?2, value = ?3 WHERE id = ?1");
  remove_ = SqliteStatement(db, "DELETE FROM kv WHERE id = ?1");
}

KvWriter::~KvWriter() {
  SqliteStatement write(db_.get(), "UPDATE used SET counted = 1, bytes = ?1");
  write.bind(1, static_cast<int64_t>(used_));
  write.run();  // failing, the next start counts
}

uint32_t KvWriter::begin() {
  used_before_ = used_;
  return kv_status_of(begin_.run());
}

uint32_t KvWriter::end() {
  const uint32_t status = kv_status_of(commit_.run());
  if (status == wire::kStatusSuccess) used_published_.store(used_, std::memory_order_relaxed);
  else undo();
  return status;
}

void KvWriter::undo() {
  used_ = used_before_;
  if (sqlite3_get_autocommit(db_.get()) == 0) rollback_.run();  // a full disk may have ended it already
}

KvAnswer KvWriter::store(const KvKey& key, std::span<const unsigned char> value, uint32_t options) {
  find_.bind(1, bytes_of(key));
  const int found = find_.step();
  const int64_t id = found == SQLITE_ROW ? find_.integer(0) : 0;
  const uint64_t was = found == SQLITE_ROW ? static_cast<uint64_t>(find_.integer(1)) + key.length : 0;
  find_.reset();
  if (found != SQLITE_ROW && found != SQLITE_DONE) return {kv_status_of(found)};
  const bool exists = found == SQLITE_ROW;
  if (exists && (options & wire::kKvStoreOptionOnlyIfAbsent)) return {wire::kStatusKeyExists};
  if (!exists && (options & wire::kKvStoreOptionOnlyIfExists)) return {wire::kStatusKeyNotFound};
  const uint64_t used = used_ - was + key.length + value.size();
  if (used > capacity_bytes_) return {wire::kStatusCapacityExceeded};
  SqliteStatement& change = exists ? update_ : insert_;
  if (exists) change.bind(1, id);
  else change.bind(1, bytes_of(key));
  change.bind(2, static_cast<int64_t>(crc32c(value.data(), value.size())));
  change.bind(3, value);
  const int code = change.run();
  if (code != SQLITE_OK) return {kv_status_of(code)};
  used_ = used;
  return {};
}

KvAnswer KvWriter::remove(const KvKey& key) {
  find_.bind(1, bytes_of(key));
  const int found = find_.step();
  const int64_t id = found == SQLITE_ROW ? find_.integer(0) : 0;
  const uint64_t was = found == SQLITE_ROW ? static_cast<uint64_t>(find_.integer(1)) + key.length : 0;
  find_.reset();
  if (found == SQLITE_DONE) return {wire::kStatusKeyNotFound};
  if (found != SQLITE_ROW) return {kv_status_of(found)};
  remove_.bind(1, id);
  const int code = remove_.run();
  if (code != SQLITE_OK) return {kv_status_of(code)};
  used_ -= was;
  return {};
}

KvReader::KvReader(const std::string& path) : db_(path) {
  db_.execute("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384;");
  sqlite3* db = db_.get();
  value_ = SqliteStatement(db, "SELECT crc, value FROM kv WHERE key = ?1");
  exists_ = SqliteStatement(db, "SELECT 1 FROM kv WHERE key = ?1");
  from_ = SqliteStatement(db, "SELECT key FROM kv WHERE key >= ?1 ORDER BY key LIMIT ?2");
  after_ = SqliteStatement(db, "SELECT key FROM kv WHERE key > ?1 ORDER BY key LIMIT ?2");
}

KvAnswer KvReader::retrieve(const KvKey& key, std::span<std::byte> data) {
  value_.bind(1, bytes_of(key));
  const int code = value_.step();
  KvAnswer answer;
  if (code == SQLITE_ROW) {
    const auto value = value_.blob(1);
    if (value.size() > kKvValueBytesMax || crc32c(value.data(), value.size()) != static_cast<uint32_t>(value_.integer(0))) answer = {wire::kStatusUnrecoveredError};
    else {
      const uint64_t moved = std::min(value.size(), data.size());
      if (moved > 0) std::memcpy(data.data(), value.data(), moved);
      answer = {wire::kStatusSuccess, static_cast<uint32_t>(value.size()), moved};
    }
  } else {
    answer = {code == SQLITE_DONE ? wire::kStatusKeyNotFound : kv_status_of(code)};
  }
  value_.reset();
  return answer;
}

KvAnswer KvReader::exist(const KvKey& key) {
  exists_.bind(1, bytes_of(key));
  const int code = exists_.step();
  exists_.reset();
  return {code == SQLITE_DONE ? wire::kStatusKeyNotFound : kv_status_of(code)};
}

KvAnswer KvReader::list(KvKey& from, Listing& listing, std::span<std::byte> data) {
  SqliteStatement& keys = listing.after ? after_ : from_;
  const KvKey begin = from;
  keys.bind(1, bytes_of(begin));
  keys.bind(2, int64_t{kKvListTurnKeys});
  int code = SQLITE_DONE;
  for (uint32_t n = 0;; n++) {
    code = keys.step();
    if (code != SQLITE_ROW) {
      listing.ended = n < kKvListTurnKeys || code != SQLITE_DONE;
      break;
    }
    const auto key = keys.blob(0);
    const uint64_t entry = (2 + key.size() + 3) / 4 * 4;
    if (key.empty() || key.size() > kKvKeyBytesMax) {
      code = SQLITE_CORRUPT;
      listing.ended = true;
      break;
    }
    if (data.size() - listing.bytes < entry) {
      code = SQLITE_DONE;
      listing.ended = true;
      break;
    }
    unsigned char bytes[2 + kKvKeyBytesMax + 2] = {static_cast<unsigned char>(key.size())};
    std::memcpy(bytes + 2, key.data(), key.size());
    std::memcpy(data.data() + listing.bytes, bytes, entry);
    listing.bytes += entry;
    listing.keys++;
    listing.after = true;
    from.length = static_cast<uint32_t>(key.size());
    std::memcpy(from.bytes.data(), key.data(), key.size());
  }
  keys.reset();
  if (code != SQLITE_DONE) return {kv_status_of(code)};
  if (listing.ended) std::memcpy(data.data(), &listing.keys, sizeof listing.keys);
  return {wire::kStatusSuccess, static_cast<uint32_t>(listing.bytes), listing.bytes};
}

KvLog::KvLog(const std::string& path) : fd_(::open((path + "-wal").c_str(), O_RDWR | O_CLOEXEC)) {
  if (!fd_) throw std::system_error(errno, std::generic_category(), "opening " + path + "-wal");
}

uint32_t KvLog::sync() {
  // After a sync that failed the kernel takes the pages for clean: a later one would succeed without having written them.
  if (failed_.load()) return wire::kStatusWriteFault;
  while (::fdatasync(fd_.get()) != 0)
    if (errno != EINTR) {
      failed_.store(true);
      return errno == ENOSPC || errno == EDQUOT ? wire::kStatusCapacityExceeded : wire::kStatusWriteFault;
    }
  return wire::kStatusSuccess;
}

}  // namespace millrace
