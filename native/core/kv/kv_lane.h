// A queue of KV requests and the one thread that serves it: I/O threads put in, never wait.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "core/device/association.h"
#include "core/kv/kv_key.h"
#include "core/kv/kv_store.h"
#include "core/queue/adaptive_spin.h"

namespace millrace {

/** A command that was checked and waits. Its association keeps the memory of its data alive. */
struct KvRequest {
  std::shared_ptr<Association> association;
  uint32_t queue_id = 0;
  wire::Sqe sqe{};
  KvKey key;
  std::span<std::byte> data;
  /** A change that completes only when it is on the media. */
  bool durable = false;
  KvReader::Listing listing{};
  MediaPlaces places;
  uint64_t fetched_ns = 0;

  void complete(const KvAnswer& answer) const {
    // That a key is there, or is not, is an answer.
    if (answer.status == wire::kStatusKeyNotFound || answer.status == wire::kStatusKeyExists) return association->answer_plainly(queue_id, sqe.cid, answer.status);
    if (sqe.opc == wire::kKvOpcodeRetrieve && answer.status == wire::kStatusSuccess) association->expect(queue_id, sqe.cid, plan_retrieve(sqe, places, answer.host_bytes), fetched_ns);
    association->finish(queue_id, sqe, {answer.status, answer.dw0, 0, answer.host_bytes});
  }
};

class KvLane {
 public:
  using Batch = std::vector<KvRequest>;
  /** Called on the lane's thread with all that waited. */
  explicit KvLane(std::function<void(Batch&)> serve) : serve_(std::move(serve)), thread_([this] { run(); }) {}
  /** Serves what waits, then ends. */
  ~KvLane() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  /** Any thread, the lane's own included. */
  void put(KvRequest request) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(request));
      some_.store(true, std::memory_order_relaxed);
      wake = std::exchange(asleep_, false);
    }
    if (wake) changed_.notify_one();
  }

 private:
  void run() {
    Batch batch;
    for (;;) {
      spin_.wait([this] { return some_.load(std::memory_order_relaxed); });
      {
        std::unique_lock lock(mutex_);
        while (!stopping_ && waiting_.empty()) {
          asleep_ = true;
          changed_.wait(lock);
          spin_.woke();
        }
        asleep_ = false;
        if (waiting_.empty()) return;
        batch.swap(waiting_);
        some_.store(false, std::memory_order_relaxed);
      }
      serve_(batch);
      batch.clear();
    }
  }

  std::function<void(Batch&)> serve_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Batch waiting_;
  std::atomic<bool> some_{false};
  bool asleep_ = false;
  bool stopping_ = false;
  AdaptiveSpin spin_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace millrace
