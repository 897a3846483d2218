// An association over rings and a data region in shared memory: the daemon itself and local clients.
#pragma once
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/device/association.h"
#include "core/queue/association_memory.h"

namespace millrace {

class RingAssociation final : public Association {
 public:
  RingAssociation(uint64_t id, QueueKind kind, const Subsystem& subsystem, std::shared_ptr<SharedMemory> memory, AssociationGeometry geometry, UniqueFd doorbell, UniqueFd peer, Waker peer_waker,
                  std::shared_ptr<WriteGrant> grant, ModuleStore& modules, CompletionGate* gate, ModelPort port)
      : Association(id, kind, subsystem, std::move(grant), modules, gate, port),
        memory_(std::move(memory)),
        geometry_(geometry),
        doorbell_(std::move(doorbell)),
        peer_(std::move(peer)),
        admin_(geometry.admin(memory_->data()), 0, peer_waker),
        peer_waker_(peer_waker) {
    pairs_[1].ring = std::make_unique<ExecutorRing>(geometry.io(memory_->data()), 1, peer_waker);
    pairs_[1].completion = true;
    pairs_[1].cq_entries = geometry.entries;
    opened(1, QueueClass::kMedium);
  }

  uint32_t queues() const override { return 1; }
  Fetch fetch(uint32_t queue_id, wire::Sqe& out) override {
    ExecutorRing* ring = queue_id == 0 ? &admin_ : pairs_[queue_id].submission ? pairs_[queue_id].ring.get() : nullptr;
    return ring ? ring->fetch(out) : Fetch::kNone;
  }
  bool has_work() const override {
    return admin_.has_work() || std::any_of(open_.begin(), open_.end(), [](const ExecutorRing* ring) { return ring->has_work(); });
  }
  void arm() override {
    admin_.arm();
    for (ExecutorRing* ring : open_) ring->arm();
  }
  void disarm() override {
    admin_.disarm();
    for (ExecutorRing* ring : open_) ring->disarm();
  }
  CommandResult create_completion_queue(const wire::Sqe& sqe) override;
  CommandResult create_submission_queue(const wire::Sqe& sqe) override;
  CommandResult delete_completion_queue(const wire::Sqe& sqe) override;
  CommandResult delete_submission_queue(const wire::Sqe& sqe, const std::function<void(uint32_t queue_id)>& abort_waiting) override;
  /** eventfd the host writes; never read (a hostile host could make the read block). */
  int wake_fd() const override { return doorbell_.get(); }
  /** The attach socket of a local client, -1 for the daemon itself. */
  int socket_fd() const { return kind == QueueKind::kLocal ? peer_.get() : -1; }
  void hang_up() override {
    if (socket_fd() >= 0) ::shutdown(socket_fd(), SHUT_RDWR);
  }

  /** prp1 offset, prp2 length in the data region. */
  std::optional<std::span<std::byte>> data_of(const wire::Sqe& sqe) const override {
    if (sqe.prp2 > kCommandDataBytesMax || sqe.prp2 > geometry_.data_bytes || sqe.prp1 > geometry_.data_bytes - sqe.prp2) return std::nullopt;
    return std::span(geometry_.data(memory_->data()) + sqe.prp1, sqe.prp2);
  }

 protected:
  void post(uint32_t queue_id, uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t) override {
    if (queue_id == 0) return admin_.post(cid, status, dw0, dw1);
    Pair& pair = pairs_[queue_id];
    pair.ring->post(cid, status, dw0, dw1);
    if (pair.deleting.load() >= 0) end_deletion(pair);
  }

 private:
  /** One I/O queue pair. Its ring object stays for the life of the association: threads may still be in post(). */
  struct Pair {
    std::unique_ptr<ExecutorRing> ring;
    bool submission = false;
    bool completion = false;
    std::byte* cq = nullptr;
    uint32_t cq_entries = 0;
    /** The Delete I/O Submission Queue that waits for what is under way; -1: none. */
    std::atomic<int32_t> deleting{-1};
  };
  /** Nothing under way any more: the waiting delete completes, once. */
  void end_deletion(Pair& pair) {
    if (pair.ring->outstanding() > 0) return;
    if (const int32_t cid = pair.deleting.exchange(-1); cid >= 0) complete(0, static_cast<uint16_t>(cid), wire::kStatusSuccess);
  }
  void opened(uint32_t queue_id, QueueClass c) {
    pairs_[queue_id].submission = true;
    open_.push_back(pairs_[queue_id].ring.get());
    arbiter.add(queue_id, c);
    controller.features.queues_settled();
  }

  std::shared_ptr<SharedMemory> memory_;
  AssociationGeometry geometry_;
  UniqueFd doorbell_;
  UniqueFd peer_;
  ExecutorRing admin_;
  Waker peer_waker_;
  std::array<Pair, kIoQueuesMax + 1> pairs_;  // by queue id; 1 is made by attaching
  std::vector<ExecutorRing*> open_;           // those with a submission queue
};

}  // namespace millrace
