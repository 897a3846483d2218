// Namespace 5, of the Key Value command set: checks commands on the I/O thread, runs changes on one thread of its own and
// reads on another. A change completes when it is in the log in the page cache (the volatile write cache); Flush makes durable.
// Where the host switched the write cache off (feature 06h) a change is durable when it completes.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/device/flush_thread.h"
#include "core/kv/kv_checkpoint.h"
#include "core/kv/kv_lane.h"
#include "core/kv/kv_store.h"

namespace millrace {

class KvNamespace {
 public:
  /** Throws std::exception. */
  KvNamespace(const std::string& path, uint64_t capacity_bytes, std::function<void()> media_failed = [] {});
  /** Every command taken is answered. */
  ~KvNamespace();

  /** A command of the KV command set, Flush included; it completes now or later. The association's I/O thread. */
  void execute(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe, const MediaPlaces& places = {});
  /** Everything that completed before is on the media. Any thread; takes milliseconds. */
  uint32_t flush();
  /** `done` gets its status on another thread. */
  void flush_later(std::function<void(uint32_t status)> done) { flushes_.flush(std::move(done)); }

  uint64_t capacity_bytes() const { return writer_.capacity_bytes(); }
  uint64_t used_bytes() const { return writer_.used_bytes(); }

 private:
  void serve_changes(KvLane::Batch& batch);
  void serve_reads(KvLane::Batch& batch);
  /** One transaction of them; false: it failed as a whole and nothing happened or was answered. */
  bool change(std::span<KvRequest> requests);
  void change_alone(KvRequest& request);
  KvAnswer apply(KvRequest& request);

  const std::function<void()> media_failed_;
  KvWriter writer_;
  KvReader reader_;
  KvLog log_;
  std::vector<unsigned char> value_;  // writer's thread: a value out of the host's reach
  std::vector<KvAnswer> answers_;     // writer's thread
  KvCheckpoint checkpoint_;
  FlushThread flushes_;
  KvLane reads_;
  KvLane changes_;
};

}  // namespace millrace
