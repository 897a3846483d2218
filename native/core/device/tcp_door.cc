// The device as the NVMe/TCP listener knows it: who may come in, and who is there.
#include <algorithm>

#include "core/device/device.h"

namespace millrace {

size_t Device::tcp_hosts() const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::count_if(associations_.begin(), associations_.end(), [](const auto& a) { return a->kind == QueueKind::kTcp; }));
}

tcp::TcpListener::Device Device::tcp_door() {
  return {
      .reserve = [this]() -> std::optional<uint64_t> {
        if (tcp_hosts() >= kTcpHostsMax) return std::nullopt;
        const std::lock_guard lock(mutex_);
        return next_id();
      },
      .admit = [this](uint64_t id, const tcp::ConnectRequest& request, AttachRights rights, std::optional<tcp::DiscoveryController> discovery, std::unique_ptr<tcp::Connection> connection) {
        return admit_tcp(id, request, std::move(rights), std::move(discovery), std::move(connection));
      },
      // Where tokens tell who is who, nobody comes in by the network without saying so either.
      .open = [this] { return !tickets_required_.load(); },
      .find = [this](uint16_t controller_id) -> std::shared_ptr<tcp::TcpAssociation> {
        const std::lock_guard lock(mutex_);
        for (const auto& association : associations_)
          if (association->kind == QueueKind::kTcp && Association::controller_id(association->id) == controller_id) return std::static_pointer_cast<tcp::TcpAssociation>(association);
        return nullptr;
      },
      .controller_id = [](uint64_t id) { return Association::controller_id(id); },
      .data = &tcp_data_,
  };
}

bool Device::admit_tcp(uint64_t id, const tcp::ConnectRequest& request, AttachRights rights, std::optional<tcp::DiscoveryController> discovery, std::unique_ptr<tcp::Connection> connection) {
  auto association = std::make_shared<tcp::TcpAssociation>(id, subsystem_, request, std::move(discovery), modules_, gate_.get(), counters_, tcp_data_, [this](UniqueFd socket) { tcp_->farewell(std::move(socket)); },
                                                            [this](const std::shared_ptr<Association>& host, const wire::Sqe& sqe) { flush_all(host, 0, sqe); });
  association->act_for(std::move(rights));
  association->hand_over(0, std::move(connection));
  if (tcp_hosts() >= kTcpHostsMax) return false;
  {
    const std::lock_guard lock(mutex_);
    if (associations_.size() >= kAssociationsMax) return false;
    associations_.insert(association);
  }
  thread_of(*association).add(association);
  return true;
}

}  // namespace millrace
