// The host's side of an association, in the daemon itself or in another process. One thread at a time (the JS thread).
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/queue/association_memory.h"
#include "core/queue/submitter.h"

namespace millrace {

struct AttachError {
  std::string code;  // MR_ATTACH_*
  std::string detail;
};

class ClientLink {
 public:
  /** Through the device's Unix socket. Throws AttachError. */
  static std::unique_ptr<ClientLink> connect(const std::string& socket_path, const std::string& ticket, uint32_t entries, uint64_t data_bytes, bool beside_device = false);
  /** Inside the device's process. `wake`: eventfd the device writes; `doorbell`: the one we write (the device's). */
  static std::unique_ptr<ClientLink> in_process(std::shared_ptr<SharedMemory> memory, AssociationGeometry geometry, UniqueFd wake, int doorbell,
                                                std::function<void()> detach);
  ~ClientLink();

  /** 0 and 1 are there from the start, others by add_queue. */
  Submitter& ring(uint32_t queue_id) { return queue_id == 0 ? admin_ : queue_id == 1 ? io_ : *added_.at(queue_id); }
  bool has_queue(uint32_t queue_id) const { return queue_id <= 1 || added_.contains(queue_id); }
  /** The host's side of a queue pair made by Create I/O Completion and Submission Queue: byte offsets in the data region. */
  void add_queue(uint32_t queue_id, uint64_t sq_offset, uint64_t cq_offset, uint32_t entries);
  void remove_queue(uint32_t queue_id) { added_.erase(queue_id); }
  /** Readable when completions may be there, or the device closed. */
  int wake_fd() const { return wake_.get(); }
  /** Empties the wake descriptor; false: the device closed the association. */
  bool drain_wake();
  /** A completion may be there to take. */
  bool completion_ready() const {
    return io_.completion_ready() || admin_.completion_ready() || std::any_of(added_.begin(), added_.end(), [](const auto& each) { return each.second->completion_ready(); });
  }
  /** Takes completions of both rings. */
  uint32_t reap(wire::Cqe* out, uint32_t max);
  /** Sleep words of both rings. False: completions came meanwhile. */
  bool arm();
  bool broken() const {
    return admin_.broken() || io_.broken() || std::any_of(added_.begin(), added_.end(), [](const auto& each) { return each.second->broken(); });
  }

  std::byte* data() const { return geometry_.data(memory_->data()); }
  uint64_t data_bytes() const { return geometry_.data_bytes; }
  /** LIFETIME: keeps the mapping for buffers that outlive the link. */
  std::shared_ptr<SharedMemory> memory() const { return memory_; }

 private:
  ClientLink(std::shared_ptr<SharedMemory> memory, AssociationGeometry geometry, UniqueFd wake, bool socket, UniqueFd own_doorbell, int doorbell);
  std::shared_ptr<SharedMemory> memory_;
  AssociationGeometry geometry_;
  UniqueFd wake_;
  bool socket_;
  UniqueFd own_doorbell_;
  Submitter admin_;
  Submitter io_;
  int doorbell_;
  std::map<uint32_t, std::unique_ptr<Submitter>> added_;
  std::function<void()> detach_;
};

}  // namespace millrace
