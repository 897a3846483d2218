// One host's queues and what it holds at the device, whatever carries them: rings in shared memory (ring_association.h), a
// network. Its commands run on one I/O thread; completions may come from any.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "core/controller/controller.h"
#include "core/controller/retry.h"
#include "core/device/counters.h"
#include "core/device/completion_gate.h"
#include "core/device/memory_range_sets.h"
#include "core/device/model_plan.h"
#include "core/device/programs.h"
#include "core/device/tickets.h"
#include "core/model/clock.h"
#include "core/queue/arbiter.h"
#include "core/queue/executor_ring.h"

namespace millrace {

/** What a command came to. */
struct CommandResult {
  uint32_t status = wire::kStatusSuccess;
  uint32_t dw0 = 0;
  uint32_t dw1 = 0;
  /** Data the command moved to the host, from the start of its buffer. */
  uint64_t host_bytes = 0;
  /** It completes later, through Association::finish. */
  bool later = false;
};

class Association : public std::enable_shared_from_this<Association> {
 public:
  using Fetch = ExecutorRing::Fetch;

  Association(uint64_t id, QueueKind kind, const Subsystem& subsystem, std::shared_ptr<WriteGrant> grant, ModuleStore& modules, CompletionGate* gate, ModelPort port = ModelPort::kHost)
      : id(id), kind(kind), controller(subsystem, controller_id(id)), programs(modules), memory(*subsystem.host_memory), grant_(std::move(grant)), gate_(gate), port_(port) {}
  virtual ~Association() = default;
  Association(const Association&) = delete;
  Association& operator=(const Association&) = delete;

  const uint64_t id;
  const QueueKind kind;
  Controller controller;
  /** Before its first command is fetched. */
  void act_for(AttachRights rights) {
    tenant = rights.tenant;
    actor = rights.actor;
    acts_for_others = rights.acts_for_others;
    datasets = std::move(rights.datasets);
    may_write = rights.may_write;
  }
  /** On whose behalf its scans run. */
  uint32_t tenant = 0;
  uint32_t actor = 0;
  /** The daemon, and its workers: a scan may name the tenant it is for. */
  bool acts_for_others = false;
  /** nullptr: every dataset is its to read. */
  std::shared_ptr<const std::set<std::string>> datasets;
  bool may_write = true;
  /** I/O thread only. */
  ProgramTable programs;
  MemoryRangeSets range_sets;
  /** The SLM namespace as this host sees it. */
  HostMemory memory;
  /** Which queue is served next. */
  Arbiter arbiter;

  // The I/O thread it belongs to.
  /** Queue 0 is the admin queue, 1..queues()-1 carry I/O. Queues made by Create I/O Submission Queue are beside these. */
  virtual uint32_t queues() const = 0;
  /** Create and delete I/O queues, where the transport has such commands. later: completes when nothing of the queue is under way. */
  virtual CommandResult create_completion_queue(const wire::Sqe&) { return {wire::kStatusInvalidOpcode}; }
  virtual CommandResult create_submission_queue(const wire::Sqe&) { return {wire::kStatusInvalidOpcode}; }
  virtual CommandResult delete_completion_queue(const wire::Sqe&) { return {wire::kStatusInvalidOpcode}; }
  virtual CommandResult delete_submission_queue(const wire::Sqe&, const std::function<void(uint32_t queue_id)>&) { return {wire::kStatusInvalidOpcode}; }
  /** The next command of a queue, its PSDT taken out of flags; kBroken: the host broke the protocol and loses the association. */
  virtual Fetch fetch(uint32_t queue_id, wire::Sqe& out) = 0;
  virtual bool has_work() const = 0;
  /** The thread is about to sleep; it looks at has_work() once more before it blocks. */
  virtual void arm() = 0;
  virtual void disarm() = 0;
  /** Becomes readable when there is work after arm(). Watched edge-triggered, never read by the thread itself. */
  virtual int wake_fd() const = 0;
  /** Around each turn of the thread: take in what came, send what was answered. Commands are fetched in between. */
  virtual void begin_turn() {}
  virtual void end_turn() {}
  /** After kBroken: why the association ended, for people; nullptr: its host left. */
  virtual const char* ended_because() const { return "it broke the ring protocol"; }
  /** Ends the peer's side; the association is lost already. Any thread. */
  virtual void hang_up() {}

  /** The data of a command, checked against private limits. Its bytes are the host's and may change at will. Any thread until the command completed. */
  virtual std::optional<std::span<std::byte>> data_of(const wire::Sqe& sqe) const = 0;

  /** A command was fetched. */
  void begun() { under_way_.fetch_add(1, std::memory_order_relaxed); }
  /** Commands fetched and not completed. Any thread. */
  uint32_t depth() const { return under_way_.load(std::memory_order_relaxed); }
  /** A command that moved no data to the host. Any thread, once per fetched command. */
  void complete(uint32_t queue_id, uint16_t cid, uint32_t status, uint32_t dw0 = 0, uint32_t dw1 = 0) { answer(queue_id, cid, status, dw0, dw1, 0); }
  /** complete() for a command that moved the first `bytes` of its data to the host: where a link is modelled, when it has carried them. */
  void deliver(uint32_t queue_id, uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t bytes) {
    if (!gate_ || port_ != ModelPort::kHost) return answer(queue_id, cid, status, dw0, dw1, bytes);
    gate_->transfer(bytes, false, [self = shared_from_this(), queue_id, cid, status, dw0, dw1, bytes] { self->answer(queue_id, cid, status, dw0, dw1, bytes); });
  }

  /** Media is modelled: it is worth saying what a command does to it. */
  bool expects() const { return gate_ && gate_->has_media(); }
  /** What a command fetched at `at_ns` does to modelled media: finish() completes it no earlier than the model says. Once per command, any thread. */
  void expect(uint32_t queue_id, uint16_t cid, ModelPlan plan, uint64_t at_ns = monotonic_ns()) {
    if (!expects() || plan.empty()) return;
    for (ModelStep& step : plan)
      if (step.command.port == ModelPort::kHost) step.command.port = port_;
    const uint64_t due_ns = gate_->due_ns(plan, at_ns);
    const std::lock_guard lock(due_mutex_);
    due_ns_[queue_id << 16 | cid] = due_ns;
  }

  /** complete() for what is an answer and no error: no entry in the error log. */
  void answer_plainly(uint32_t queue_id, uint16_t cid, uint32_t status) {
    take_due(queue_id, cid);
    complete(queue_id, cid, status);
  }

  /** Completes a command with what it came to, and keeps a failure in the error log. Any thread. */
  void finish(uint32_t queue_id, const wire::Sqe& sqe, const CommandResult& result) {
    if (result.status != wire::kStatusSuccess && result.status != wire::kStatusAbortRequested) {
      controller.errors.record(static_cast<uint16_t>(queue_id), sqe.cid, result.status, sqe.nsid, queue_id == 0 ? 0 : uint64_t{sqe.cdw11} << 32 | sqe.cdw10);
      Counters::add(controller.subsystem.counters->error_entries, 1);
    }
    const uint64_t due_ns = take_due(queue_id, sqe.cid);
    // What failed did not reach the media; of the others the model has the link in its time.
    if (due_ns > 0 && result.status == wire::kStatusSuccess)
      return gate_->hold(due_ns, [self = shared_from_this(), queue_id, cid = sqe.cid, r = result] { self->answer(queue_id, cid, r.status, r.dw0, r.dw1, r.host_bytes); });
    if (result.host_bytes > 0) deliver(queue_id, sqe.cid, result.status, result.dw0, result.dw1, result.host_bytes);
    else complete(queue_id, sqe.cid, result.status, result.dw0, result.dw1);
  }

  /** An Asynchronous Event Request that has its event. Any thread. */
  void answer_event(const std::optional<AsyncEvents::Answer>& answer) {
    if (answer) complete(0, answer->cid, wire::kStatusSuccess, answer->dw0);
  }
  /** Something happened that the host may have asked to be told. Any thread. */
  void raise(const AsyncEvent& event) { answer_event(controller.events.raise(event)); }

  /** The Arbitration feature or CC.AMS changed. */
  void arbitrate() { arbiter.configure(controller.features.arbitration(), controller.weighted()); }

  /** CNTLID by association id; the device takes no id whose CNTLID is in use. FFF0h and above are reserved. */
  static uint16_t controller_id(uint64_t id) { return static_cast<uint16_t>((id - 1) % 0xffef + 1); }

  /** To be held while the write runs; nullopt: these blocks are not this host's to write. */
  std::optional<WritePermit> write_permit(uint64_t slba, uint64_t blocks) const {
    if (kind == QueueKind::kDaemon) return std::optional<WritePermit>(std::in_place);
    if (!grant_ || !grant_->begin_write(slba, blocks)) return std::nullopt;
    return std::optional<WritePermit>(std::in_place, grant_);
  }

  /** Lost: no further command of it runs. The first caller gets true and reports it. */
  bool lose() { return !lost_.exchange(true); }
  bool lost() const { return lost_.load(std::memory_order_relaxed); }

 protected:
  /** Carries a completion, and the first `host_bytes` of the command's data, to the host. Any thread. */
  virtual void post(uint32_t queue_id, uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t host_bytes) = 0;

 private:
  /** 0: nothing was expected of it. */
  uint64_t take_due(uint32_t queue_id, uint16_t cid) {
    if (!expects()) return 0;
    const std::lock_guard lock(due_mutex_);
    const auto found = due_ns_.find(queue_id << 16 | cid);
    if (found == due_ns_.end()) return 0;
    const uint64_t due_ns = found->second;
    due_ns_.erase(found);
    return due_ns;
  }

  void answer(uint32_t queue_id, uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t host_bytes) {
    under_way_.fetch_sub(1, std::memory_order_relaxed);
    post(queue_id, cid, with_retry_bit(status), dw0, dw1, host_bytes);
  }

  std::atomic<uint32_t> under_way_{0};
  std::shared_ptr<WriteGrant> grant_;
  CompletionGate* gate_;  // nullptr: nothing is modelled. LIFETIME: the device's; nothing runs after it
  ModelPort port_;        // kDevice: beside the device, its bytes cross no link
  std::mutex due_mutex_;
  std::unordered_map<uint32_t, uint64_t> due_ns_;  // of commands on modelled media, by queue and cid
  std::atomic<bool> lost_{false};
};

}  // namespace millrace
