// The device: namespace 1 on its backing file, SLM, programs, scans, slots, and the associations of its hosts.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/device/attach_listener.h"
#include "core/device/client_link.h"
#include "core/device/commands.h"
#include "core/device/io_thread.h"
#include "core/device/completion_gate.h"
#include "core/kv/kv_namespace.h"
#include "core/model/core.h"
#include "core/scan/scan_engine.h"
#include "core/tcp/tcp_listener.h"

namespace millrace {

struct DeviceSettings {
  std::string backing_file;
  /** Name of the NVM subsystem. */
  std::string nqn = "nqn.2026-11.dev.millrace:device0";
  uint64_t capacity_bytes = 0;
  /** Namespace 5 (keys and values); empty: there is none. */
  std::string kv_file;
  uint64_t kv_bytes = 0;
  /** Backing file of namespace 4 (blocks that hosts may write), made sparse; empty: there is none. */
  std::string raw_file;
  uint64_t raw_bytes = 0;
  uint64_t slm_bytes = 0;
  uint32_t io_threads = 1;
  uint32_t slots = 0;
  std::string socket_path;  // empty: no listener
  /** Until require_tickets() says otherwise. */
  bool tickets_required = false;
  std::string slot_node;
  std::string slot_script;
  std::string slot_launcher;
  uint64_t slot_heap_bytes_max = 0;
  uint32_t morsel_deadline_ms = 0;
  /** SLM of every tenant but the device's own, and how many of them have one at a time. */
  uint64_t tenant_slm_bytes = kSlmBytesMin;
  uint32_t tenants_resident_max = 4;
  /** Media, link to hosts and power, where they are modelled. */
  ModelSettings model;
  /** The device's cores, where slower ones are modelled. */
  CoreModel core;
  /** NVMe/TCP, where hosts may come over a network. */
  tcp::TcpSettings tcp;
};

/** kind: slotFault | slotReplaced | associationLost | log. Any thread; must not call back into the device. */
using EventSink = std::function<void(const char* kind, std::string detail)>;

class Device {
 public:
  /** `slots`: who makes the slot processes; may be empty when settings.slots is 0. Throws std::exception. */
  Device(DeviceSettings settings, EventSink events, const SlotSupervisorFactory& slots);
  ~Device();

  /** In-process association; may write everywhere. Throws AttachError. The link and the device end on the same thread, in any order. */
  std::unique_ptr<ClientLink> attach(uint32_t entries, uint64_t data_bytes);
  /** Throws std::invalid_argument when a range leaves the namespace. */
  std::string grant_ticket(const std::vector<BlockRange>& writable);
  /** False: no such ticket. */
  bool extend_ticket(const std::string& ticket, const std::vector<BlockRange>& writable);
  /** `quiet` runs once, on any thread, when no write under the ticket is or comes into flight. */
  void revoke_ticket(const std::string& ticket, std::function<void()> quiet);

  /** Says who a tenant is, or that its caps changed. Throws std::invalid_argument. */
  void set_tenant(Tenant tenant);
  std::string grant_attach(AttachRights rights) { return tickets_.grant_attach(rights); }
  /** From now on local clients attach with a ticket only, and NVMe/TCP hosts come in with a secret only. */
  void require_tickets(bool required) { tickets_required_.store(required); }

  /** Throws std::invalid_argument. */
  /** name: what a right to read it is called; versions of a dataset share it. */
  void register_dataset(std::span<const std::byte> layout, std::string name = {}) { datasets_.register_dataset(layout, std::move(name)); }
  /** `gone` runs once, on any thread, when the last lease ended. False: no such dataset. */
  bool retire_dataset(uint32_t handle, std::function<void()> gone);

  /** nullptr: neither media nor link is modelled. */
  CompletionGate* gate() const { return gate_.get(); }
  const CoreModel& core() const { return settings_.core; }

  /** nullptr: no NVMe/TCP. */
  const tcp::TcpListener* tcp() const { return tcp_.get(); }
  size_t tcp_hosts() const;
  /** What the commands of NVMe/TCP hosts hold beyond each host's own share. */
  uint64_t tcp_shared_bytes() const { return tcp_data_.used_bytes(); }

  const Counters& counters() const { return counters_; }
  const Subsystem& subsystem() const { return subsystem_; }
  size_t associations() const;
  /** Commands fetched and not completed (slots: submitted), by kind of queue. */
  std::array<uint64_t, kQueueKindNames.size()> queue_depths() const;
  const Slm& slm() const { return slm_; }
  const ScanEngine& scans() const { return scans_; }
  /** nullptr: the device has no namespace 5. */
  const KvNamespace* kv() const { return kv_.get(); }
  AuditTrail& audit() { return scans_.audit(); }

 private:
  /** Takes `peer` only when it succeeds: a refusal is answered on it. Throws AttachError. */
  std::shared_ptr<RingAssociation> admit(QueueKind kind, AssociationGeometry geometry, std::shared_ptr<SharedMemory> memory, UniqueFd&& peer, Waker waker, std::shared_ptr<WriteGrant> grant, bool over_link, AttachRights rights);
  AttachListener::Attached admit_local(const wire::AttachRequest& request, UniqueFd& socket);
  void describe_subsystem();
  /** Says where namespaces lie on the modelled media; gives its size. */
  uint64_t lay_out_media();
  /** Byte-addressable: datasets are executed in place, and there is namespace 6. */
  bool media_is_memory() const { return std::holds_alternative<MemorySettings>(settings_.model.media); }
  /** The lowest id above all before whose CNTLID no open association has. Locked. */
  uint64_t next_id();
  /** Aborts a command that waits: an event request or a fetch of results. */
  CommandResult abort(Association& association, const wire::Sqe& sqe);
  BlockCommands& blocks_of(uint32_t nsid) { return nsid == wire::kNsidRaw ? *raw_blocks_ : *blocks_; }
  const BackingFile* file_of(uint32_t nsid) const { return nsid == wire::kNsidNvm ? &backing_ : nsid == wire::kNsidRaw && raw_ ? &*raw_ : nullptr; }
  /** Flush with NSID FFFFFFFFh. */
  void flush_all(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  /** The media failed: hosts that asked for it are told. */
  void media_failed();
  tcp::TcpListener::Device tcp_door();
  bool admit_tcp(uint64_t id, const tcp::ConnectRequest& request, AttachRights rights, std::optional<tcp::DiscoveryController> discovery, std::unique_ptr<tcp::Connection> connection);
  static uint32_t refused_by_ticket(const Association& association, Command command, uint32_t nsid);
  void execute(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe);
  void gone(const std::shared_ptr<Association>& association, const char* why);
  void check_ranges(const std::vector<BlockRange>& ranges) const;
  IoThread& thread_of(const Association& association) { return *threads_[association.id % threads_.size()]; }

  std::shared_ptr<void> alive_ = std::make_shared<char>();
  DeviceSettings settings_;
  EventSink events_;
  BackingFile backing_;
  std::optional<BackingFile> raw_;
  uint64_t keys_at_ = 0;  // on the modelled media
  Counters counters_;
  Health health_;
  Subsystem subsystem_;
  DatasetTable datasets_;
  ModuleStore modules_;
  Tickets tickets_;
  std::atomic<bool> tickets_required_{false};
  Slm slm_;
  MemoryCommands memory_;
  HostMemoryBudget host_memory_;
  DataBudget tcp_data_;
  mutable std::mutex mutex_;
  uint64_t next_association_ = 1;
  std::set<std::shared_ptr<Association>> associations_;
  std::unique_ptr<CompletionGate> gate_;
  ScanEngine scans_;
  std::unique_ptr<BlockCommands> blocks_;
  std::unique_ptr<BlockCommands> raw_blocks_;
  std::unique_ptr<KvNamespace> kv_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::unique_ptr<AttachListener> listener_;
  std::unique_ptr<tcp::TcpListener> tcp_;
};

}  // namespace millrace
