// An association over rings and a data region in shared memory: the daemon itself and local clients.
#pragma once
#include <sys/socket.h>

#include "core/device/association.h"
#include "core/queue/association_memory.h"

namespace millrace {

class RingAssociation final : public Association {
 public:
  RingAssociation(uint64_t id, QueueKind kind, const Subsystem& subsystem, std::shared_ptr<SharedMemory> memory, AssociationGeometry geometry, UniqueFd doorbell, UniqueFd peer, Waker peer_waker,
                  std::shared_ptr<WriteGrant> grant, ModuleStore& modules, LinkGate* link)
      : Association(id, kind, subsystem, std::move(grant), modules, link),
        memory_(std::move(memory)),
        geometry_(geometry),
        doorbell_(std::move(doorbell)),
        peer_(std::move(peer)),
        admin_(geometry.admin(memory_->data()), 0, peer_waker),
        io_(geometry.io(memory_->data()), 1, peer_waker) {}

  uint32_t queues() const override { return 2; }
  Fetch fetch(uint32_t queue_id, wire::Sqe& out) override { return ring(queue_id).fetch(out); }
  bool has_work() const override { return admin_.has_work() || io_.has_work(); }
  void arm() override {
    admin_.arm();
    io_.arm();
  }
  void disarm() override {
    admin_.disarm();
    io_.disarm();
  }
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
  void post(uint32_t queue_id, uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1, uint64_t) override { ring(queue_id).post(cid, status, dw0, dw1); }

 private:
  ExecutorRing& ring(uint32_t queue_id) { return queue_id == 0 ? admin_ : io_; }

  std::shared_ptr<SharedMemory> memory_;
  AssociationGeometry geometry_;
  UniqueFd doorbell_;
  UniqueFd peer_;
  ExecutorRing admin_;
  ExecutorRing io_;
};

}  // namespace millrace
