// One host's queues and what it holds at the device. Its commands run on one I/O thread; completions may come from any.
#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/device/counters.h"
#include "core/device/link_gate.h"
#include "core/device/programs.h"
#include "core/device/tickets.h"
#include "core/queue/association_memory.h"
#include "core/queue/executor_ring.h"

namespace millrace {

class Association : public std::enable_shared_from_this<Association> {
 public:
  Association(uint64_t id, QueueKind kind, std::shared_ptr<SharedMemory> memory, AssociationGeometry geometry, UniqueFd doorbell, UniqueFd peer, Waker peer_waker,
              std::shared_ptr<WriteGrant> grant, ModuleStore& modules, LinkGate* link)
      : id(id),
        kind(kind),
        programs(modules),
        memory_(std::move(memory)),
        geometry_(geometry),
        doorbell_(std::move(doorbell)),
        peer_(std::move(peer)),
        grant_(std::move(grant)),
        link_(link),
        admin_(geometry.admin(memory_->data()), 0, peer_waker),
        io_(geometry.io(memory_->data()), 1, peer_waker) {}

  const uint64_t id;
  const QueueKind kind;
  /** I/O thread only. */
  ProgramTable programs;

  ExecutorRing& ring(uint32_t queue_id) { return queue_id == 0 ? admin_ : io_; }
  bool has_work() const { return admin_.has_work() || io_.has_work(); }
  void arm() {
    admin_.arm();
    io_.arm();
  }
  void disarm() {
    admin_.disarm();
    io_.disarm();
  }
  /** eventfd the host writes; watched edge-triggered, never read (a hostile host could make the read block). */
  int doorbell_fd() const { return doorbell_.get(); }
  /** The attach socket of a local client, -1 for the daemon itself. */
  int socket_fd() const { return kind == QueueKind::kLocal ? peer_.get() : -1; }

  void complete(uint32_t queue_id, uint16_t cid, uint32_t status, uint32_t dw0 = 0, uint32_t dw1 = 0) { ring(queue_id).post(cid, status, dw0, dw1); }

  /** complete() for a command that moved `bytes` to the host: where a link is modelled, when it has carried them. */
  void deliver(uint32_t queue_id, uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t bytes) {
    if (!link_) return complete(queue_id, cid, status, dw0, dw1);
    link_->transfer(bytes, false, [self = shared_from_this(), queue_id, cid, status, dw0, dw1] { self->complete(queue_id, cid, status, dw0, dw1); });
  }

  /** The data of a command: prp1 offset, prp2 length, checked against private limits. Its bytes are the host's and change at will. */
  std::optional<std::span<std::byte>> data_of(const wire::Sqe& sqe) const {
    if (sqe.prp2 > kCommandDataBytesMax || sqe.prp2 > geometry_.data_bytes || sqe.prp1 > geometry_.data_bytes - sqe.prp2) return std::nullopt;
    return std::span(geometry_.data(memory_->data()) + sqe.prp1, sqe.prp2);
  }

  /** To be held while the write runs; nullopt: these blocks are not this host's to write. */
  std::optional<WritePermit> write_permit(uint64_t slba, uint64_t blocks) const {
    if (kind == QueueKind::kDaemon) return std::optional<WritePermit>(std::in_place);
    if (!grant_ || !grant_->begin_write(slba, blocks)) return std::nullopt;
    return std::optional<WritePermit>(std::in_place, grant_);
  }

  /** Lost: no further command of it runs. The first caller gets true and reports it. */
  bool lose() { return !lost_.exchange(true); }
  bool lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  std::shared_ptr<SharedMemory> memory_;
  AssociationGeometry geometry_;
  UniqueFd doorbell_;
  UniqueFd peer_;
  std::shared_ptr<WriteGrant> grant_;
  LinkGate* link_;  // nullptr: beside the device, or no link is modelled. LIFETIME: the device's; nothing runs after it
  ExecutorRing admin_;
  ExecutorRing io_;
  std::atomic<bool> lost_{false};
};

}  // namespace millrace
