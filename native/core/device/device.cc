#include "core/device/device.h"

#include <algorithm>
#include <stdexcept>

#include "core/controller/admin.h"
#include "core/controller/identify.h"
#include "core/controller/log_pages.h"
#include "core/device/model_plan.h"
#include "core/model/clock.h"

namespace millrace {

namespace {
constexpr uint32_t kIoThreadsMax = 16;

DeviceSettings checked(DeviceSettings s) {
  if (s.io_threads == 0 || s.io_threads > kIoThreadsMax) throw std::invalid_argument("ioThreads must be from 1 to 16");
  if (s.slots > kSlotsMax) throw std::invalid_argument("slots must be at most 64");
  if (s.slm_bytes < kSlmBytesMin || s.slm_bytes > kSlmBytesMax) throw std::invalid_argument("slmBytes must be from 16 MiB to 3 GiB");
  if (!(s.core.factor >= 1 && s.core.factor <= kCoreFactorMax)) throw std::invalid_argument("coreFactor must be from 1 to 1000");
  if (!s.kv_file.empty() && (s.kv_bytes < kKvBytesMin || s.kv_bytes > kKvBytesMax)) throw std::invalid_argument("kvBytes must be from 1 MiB to 64 TiB");
  if (s.model.link.latency_ns > kLinkLatencyNsMax) throw std::invalid_argument("link latency must be at most 10 s");
  if (s.tenant_slm_bytes < kSlmBytesMin || s.tenant_slm_bytes > kSlmBytesMax) throw std::invalid_argument("tenantSlmBytes must be from 16 MiB to 3 GiB");
  if (s.tenants_resident_max > kTenantsResidentMax) throw std::invalid_argument("tenantsResidentMax must be at most 16");
  return s;
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
}

TenantCaps own_caps(const DeviceSettings& s) {
  TenantCaps caps;
  caps.heap_bytes = s.slot_heap_bytes_max;
  caps.deadline_ms = s.morsel_deadline_ms;
  return caps;
}
}  // namespace

Device::Device(DeviceSettings settings, EventSink events, const SlotSupervisorFactory& slots)
    : settings_(checked(std::move(settings))),
      events_(std::move(events)),
      backing_(BackingFile::open(settings_.backing_file, settings_.capacity_bytes)),
      raw_(settings_.raw_file.empty() ? std::nullopt : std::optional(BackingFile::open(settings_.raw_file, settings_.raw_bytes))),
      health_(settings_.backing_file + ".health", directory_of(settings_.backing_file), counters_),
      datasets_(backing_.blocks()),
      slm_(settings_.slm_bytes, settings_.slots),
      memory_([this](uint32_t nsid) { return file_of(nsid); }, [this](uint32_t nsid) { return file_of(nsid) ? &blocks_of(nsid) : nullptr; }, datasets_, counters_),
      gate_(settings_.model.on() ? std::make_unique<CompletionGate>(settings_.model, lay_out_media()) : nullptr),
      scans_(backing_, datasets_, {slm_, settings_.slots, settings_.tenant_slm_bytes, settings_.tenants_resident_max}, counters_, events_, own_caps(settings_), media_is_memory(), [this] { media_failed(); }),
      blocks_(std::make_unique<BlockCommands>(backing_, [this](uint32_t nsid) { return file_of(nsid); }, datasets_, false, counters_, [this] { media_failed(); })),
      raw_blocks_(raw_ ? std::make_unique<BlockCommands>(*raw_, [this](uint32_t nsid) { return file_of(nsid); }, datasets_, true, counters_, [this] { media_failed(); }) : nullptr),
      kv_(settings_.kv_file.empty() ? nullptr : std::make_unique<KvNamespace>(settings_.kv_file, settings_.kv_bytes, [this] {
        Counters::add(counters_.media_errors, 1);
        media_failed();
      })) {
  tickets_required_.store(settings_.tickets_required);
  describe_subsystem();
  scans_.start({settings_.slots, settings_.slot_node, settings_.slot_script, settings_.slot_launcher, {0, slm_.read_only_fd(), slm_.mapped_bytes(), slm_.bytes(), own_caps(settings_), nullptr, scans_.view_room(own_caps(settings_), slm_)}}, slots, settings_.core, gate_.get());
  for (uint32_t i = 0; i < settings_.io_threads; i++)
    threads_.push_back(std::make_unique<IoThread>(IoThread::Work{
        [this](const auto& association, uint32_t queue_id, const wire::Sqe& sqe) { execute(association, queue_id, sqe); },
        [this](const auto& association, const char* why) { gone(association, why); },
    }, counters_.busy_ns));
  if (!settings_.socket_path.empty())
    listener_ = std::make_unique<AttachListener>(
        settings_.socket_path, [this](const wire::AttachRequest& request, UniqueFd& socket) { return admit_local(request, socket); },
        [this](const std::shared_ptr<RingAssociation>& association) { thread_of(*association).remove(association, nullptr); });
  if (listener_) listener_->start();
  if (!settings_.tcp.address.empty()) {
    settings_.tcp.subsystem = settings_.nqn;
    tcp_ = std::make_unique<tcp::TcpListener>(settings_.tcp, tcp_door());
    tcp_->start();
  }
}

Device::~Device() {
  // I/O threads first: they may be about to tell the listener to forget a socket.
  for (const auto& thread : threads_) thread->stop();
  listener_.reset();
  tcp_.reset();
  scans_.stop();
  blocks_.reset();
  raw_blocks_.reset();
  kv_.reset();
  gate_.reset();
  std::set<std::shared_ptr<Association>> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(associations_);
  }
  for (const auto& association : left) {
    association->lose();
    association->hang_up();
  }
}

std::shared_ptr<RingAssociation> Device::admit(QueueKind kind, AssociationGeometry geometry, std::shared_ptr<SharedMemory> memory, UniqueFd&& peer, Waker waker,
                                           std::shared_ptr<WriteGrant> grant, bool over_link, AttachRights rights) {
  UniqueFd doorbell = make_event_fd();
  if (!doorbell) throw AttachError{"MR_ATTACH_REFUSED", "no descriptor is free for the doorbell"};
  geometry.admin(memory->data()).describe(0, geometry.data_offset(), geometry.data_bytes);
  geometry.io(memory->data()).describe(1, geometry.data_offset(), geometry.data_bytes);
  std::shared_ptr<RingAssociation> association;
  {
    const std::lock_guard lock(mutex_);
    if (associations_.size() >= kAssociationsMax) throw AttachError{"MR_ATTACH_REFUSED", "too many associations are open"};
    association = std::make_shared<RingAssociation>(next_id(), kind, subsystem_, std::move(memory), geometry, std::move(doorbell), std::move(peer), waker, std::move(grant), modules_, gate_.get(), over_link ? ModelPort::kHost : ModelPort::kDevice);
    association->act_for(std::move(rights));
    associations_.insert(association);
  }
  thread_of(*association).add(association);
  return association;
}

std::unique_ptr<ClientLink> Device::attach(uint32_t entries, uint64_t data_bytes) {
  const auto geometry = AssociationGeometry::checked(entries, data_bytes);
  if (!geometry) throw AttachError{"MR_ATTACH_INVALID", "entries must be a power of two from 16 to 4096, dataBytes from 64 KiB to 1 GiB"};
  auto memory = std::make_shared<SharedMemory>(SharedMemory::create("millrace-association", geometry->bytes()));
  UniqueFd wake = make_event_fd();
  UniqueFd wake_device(::dup(wake.get()));
  const Waker waker = Waker::event_fd(wake_device.get());
  const auto association = admit(QueueKind::kDaemon, *geometry, memory, std::move(wake_device), waker, nullptr, false, {.acts_for_others = true});
  return ClientLink::in_process(std::move(memory), *geometry, std::move(wake), association->wake_fd(),
                                [this, association, alive = std::weak_ptr<void>(alive_)] {
                                  if (alive.lock()) thread_of(*association).remove(association, nullptr);
                                });
}

AttachListener::Attached Device::admit_local(const wire::AttachRequest& request, UniqueFd& socket) {
  const auto geometry = AssociationGeometry::checked(request.entries, request.data_bytes);
  if (!geometry) return {};
  std::shared_ptr<WriteGrant> grant;
  AttachRights rights;
  if (request.ticket_bytes > 0) {
    auto redeemed = tickets_.redeem(std::string(reinterpret_cast<const char*>(request.ticket), request.ticket_bytes));
    if (!redeemed) return AttachListener::Attached::refused(wire::kAttachStatusBadTicket);
    grant = std::move(redeemed->grant);
    rights = redeemed->rights;
  } else if (tickets_required_.load()) {
    return AttachListener::Attached::refused(wire::kAttachStatusBadTicket);
  }
  try {
    auto memory = std::make_shared<SharedMemory>(SharedMemory::create("millrace-association", geometry->bytes()));
    const int memory_fd = memory->fd();
    const Waker waker = Waker::socket(socket.get());
    const bool beside = (request.flags & wire::kAttachFlagBesideDevice) != 0 || grant;
    auto association = admit(QueueKind::kLocal, *geometry, std::move(memory), std::move(socket), waker, std::move(grant), !beside, rights);
    const int doorbell = association->wake_fd();
    return {wire::kAttachStatusOk, std::move(association), memory_fd, doorbell, *geometry};
  } catch (const AttachError&) {
    return AttachListener::Attached::refused(wire::kAttachStatusTooMany);
  } catch (const std::exception&) {
    return AttachListener::Attached::refused(wire::kAttachStatusNoMemory);
  }
}

void Device::gone(const std::shared_ptr<Association>& association, const char* why) {
  association->lose();
  scans_.detach(*association);
  if (const auto local = std::dynamic_pointer_cast<RingAssociation>(association); listener_ && local && local->socket_fd() >= 0) listener_->forget(local);
  association->hang_up();
  {
    const std::lock_guard lock(mutex_);
    associations_.erase(association);
  }
  if (why) events_("associationLost", "association " + std::to_string(association->id) + " (" + kQueueKindNames[static_cast<size_t>(association->kind)] + ") was closed: " + why);
}

std::array<uint64_t, kQueueKindNames.size()> Device::queue_depths() const {
  std::array<uint64_t, kQueueKindNames.size()> depths{};
  depths[static_cast<size_t>(QueueKind::kSlot)] = counters_.slot_depth.load(std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  for (const auto& association : associations_) depths[static_cast<size_t>(association->kind)] += association->depth();
  return depths;
}

size_t Device::associations() const {
  const std::lock_guard lock(mutex_);
  return associations_.size();
}

void Device::describe_subsystem() {
  subsystem_.nqn = settings_.nqn;
  subsystem_.identity = health_.identity();
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < 10; i++) subsystem_.serial += {kHex[subsystem_.identity[i] >> 4], kHex[subsystem_.identity[i] & 15]};
  subsystem_.health = &health_;
  subsystem_.counters = &counters_;
  subsystem_.host_memory = &host_memory_;
  health_.set_unbacked([this] { return raw_ ? raw_->blocks() * kBlockBytes - raw_->used_bytes() : 0; });
  subsystem_.namespaces = {
      NamespaceFacts{wire::kNsidNvm, wire::kCsiNvm, backing_.blocks() * kBlockBytes, false, {}},
      NamespaceFacts{wire::kNsidSlm, wire::kCsiSlm, kHostSlmBytes, true, {}},
      NamespaceFacts{wire::kNsidCompute, wire::kCsiCompute, 0, true, {}},
  };
  if (raw_) subsystem_.namespaces.push_back({wire::kNsidRaw, wire::kCsiNvm, raw_->blocks() * kBlockBytes, true, [this] { return raw_->used_bytes(); }});
  if (gate_ && gate_->with_model([](DeviceModel& model) { return model.power().on() && (model.power().start(monotonic_ns()), true); }))
    subsystem_.power_log = [this](std::span<std::byte> page) { gate_->with_model([&](DeviceModel& model) { return model.power().fill_power_log(page, monotonic_ns()); }); };
  if (settings_.model.has_power()) subsystem_.power = settings_.model.power;
  if (kv_) subsystem_.namespaces.push_back({wire::kNsidKv, wire::kCsiKv, kv_->capacity_bytes(), true, [this] { return kv_->used_bytes(); }});
  if (media_is_memory()) subsystem_.namespaces.push_back({wire::kNsidPmem, wire::kCsiSlm, backing_.blocks() * kBlockBytes, false, {}});
}

uint64_t Device::lay_out_media() {
  uint64_t at = backing_.blocks() * kBlockBytes;
  if (raw_) {
    raw_->lie_at(at);
    at += raw_->blocks() * kBlockBytes;
  }
  keys_at_ = at;
  return at + settings_.kv_bytes / kBlockBytes * kBlockBytes;
}

void Device::flush_all(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  struct Left {
    std::atomic<uint32_t> count{3};
    std::atomic<uint32_t> status{wire::kStatusSuccess};
  };
  const auto left = std::make_shared<Left>();
  const auto done = [association, queue_id, sqe, left](uint32_t status) {
    if (status != wire::kStatusSuccess) left->status.store(status);
    if (left->count.fetch_sub(1) == 1) association->finish(queue_id, sqe, {left->status.load()});
  };
  blocks_->flush(done);
  if (raw_blocks_) raw_blocks_->flush(done);
  else done(wire::kStatusSuccess);
  if (kv_) kv_->flush_later(done);
  else done(wire::kStatusSuccess);
}

uint64_t Device::next_id() {
  const auto taken = [this](uint64_t id) {
    return std::any_of(associations_.begin(), associations_.end(), [id](const auto& a) { return a->controller.id == Association::controller_id(id); });
  };
  while (taken(next_association_)) next_association_++;
  return next_association_++;
}

CommandResult Device::abort(Association& association, const wire::Sqe& sqe) {
  const uint32_t queue_id = sqe.cdw10 & 0xffffu;
  const auto cid = static_cast<uint16_t>(sqe.cdw10 >> 16);
  const bool aborted = queue_id == 0 ? association.controller.events.abort(cid) : scans_.abort(association, queue_id, cid);
  // ORDER: the aborted command completes before the Abort that ended it.
  if (aborted) association.complete(queue_id, cid, wire::kStatusAbortRequested);
  return {wire::kStatusSuccess, aborted ? 0u : 1u};
}

void Device::media_failed() {
  std::vector<std::shared_ptr<Association>> all;
  {
    const std::lock_guard lock(mutex_);
    all.assign(associations_.begin(), associations_.end());
  }
  for (const auto& association : all) association->raise({AsyncEventType::kHealth, 0, wire::kLidHealth, Health::kWarningReliability});
}

/** What all hosts share, keys and raw blocks, has no part that a ticket for some datasets covers, and is changed by who may write. */
uint32_t Device::refused_by_ticket(const Association& association, Command command, uint32_t nsid) {
  const bool keys = command == Command::kKvRetrieve || command == Command::kKvList || command == Command::kKvExist || command == Command::kKvFlush;
  const bool keys_change = command == Command::kKvStore || command == Command::kKvDelete;
  const bool blocks_change = nsid == wire::kNsidRaw && (command == Command::kWrite || command == Command::kWriteZeroes || command == Command::kDatasetManagement || command == Command::kCopy || command == Command::kMemoryCopy);
  if (association.datasets && (keys || keys_change || blocks_change)) return wire::kStatusAccessDenied;
  return !association.may_write && (keys_change || blocks_change) ? uint32_t{wire::kStatusNamespaceWriteProtected} : uint32_t{wire::kStatusSuccess};
}

void Device::execute(const std::shared_ptr<Association>& association, uint32_t queue_id, const wire::Sqe& sqe) {
  association->begun();
  CommandResult result;
  const CommandEntry& entry = command_of(queue_id, sqe, result.status);
  counters_.command(association->kind, entry.command);
  if (result.status == wire::kStatusSuccess) result.status = check_entry(entry, sqe);
  if (result.status != wire::kStatusSuccess) return association->finish(queue_id, sqe, result);
  result.status = refused_by_ticket(*association, entry.command, entry.command == Command::kMemoryCopy && sqe.cdw13 != 0 ? sqe.cdw13 : sqe.nsid);
  if (result.status != wire::kStatusSuccess) return association->finish(queue_id, sqe, result);
  if (sqe.nsid == wire::kNsidRaw && queue_id != 0 && !raw_) return association->finish(queue_id, sqe, {wire::kStatusInvalidNamespace});
  if (sqe.nsid == wire::kNsidPmem && queue_id != 0 && !media_is_memory()) return association->finish(queue_id, sqe, {wire::kStatusInvalidNamespace});
  const bool write_cache = association->controller.features.write_cache();
  const MediaPlaces places{sqe.nsid == wire::kNsidRaw && raw_ ? raw_->media_at() : 0, keys_at_, settings_.kv_bytes};
  if (association->expects()) association->expect(queue_id, sqe.cid, model_plan(entry.command, sqe, places, write_cache));
  const uint64_t fetched_ns = monotonic_ns();
  switch (entry.command) {
    case Command::kKvFlush:
    case Command::kKvStore:
    case Command::kKvRetrieve:
    case Command::kKvList:
    case Command::kKvDelete:
    case Command::kKvExist:
      if (kv_) return kv_->execute(association, queue_id, sqe, places);
      result.status = wire::kStatusInvalidNamespace;
      break;
    case Command::kRead:
    case Command::kWrite:
    case Command::kCompare:
    case Command::kVerify:
    case Command::kWriteZeroes:
    case Command::kDatasetManagement:
    case Command::kCopy: result = blocks_of(sqe.nsid).execute(entry.command, association, queue_id, sqe); break;
    case Command::kFlush:
      if (sqe.nsid == wire::kNsidAll) return flush_all(association, queue_id, sqe);
      result = blocks_of(sqe.nsid).execute(entry.command, association, queue_id, sqe);
      break;
    case Command::kExecute: return scans_.execute(association, queue_id, sqe);
    case Command::kScanResult: return scans_.result(association, queue_id, sqe);
    case Command::kScanCheckpoint: return scans_.checkpoint(association, queue_id, sqe);
    case Command::kScanRestore: return scans_.restore(association, queue_id, sqe);
    case Command::kScanOpen: result = scans_.open(association, sqe); break;
    case Command::kScanClaim: result = scans_.claim(*association, sqe); break;
    case Command::kScanReturn: result = scans_.give_back(*association, sqe); break;
    case Command::kScanDone: result = scans_.done(*association, sqe); break;
    case Command::kScanClose: result = scans_.close(*association, sqe); break;
    case Command::kMemoryFill: result = memory_.fill(*association, sqe); break;
    case Command::kMemoryCopy: result = memory_.copy(association, queue_id, sqe); break;
    case Command::kMemoryRead: result = memory_.read(*association, sqe); break;
    case Command::kMemoryWrite: result = memory_.write(*association, sqe); break;
    case Command::kMemoryRangeSet: result = manage_range_set(*association, sqe); break;
    case Command::kIdentify: result = identify(*association, sqe); break;
    case Command::kGetLogPage: result = get_log_page(*association, sqe); break;
    case Command::kSetFeatures: result = set_features(*association, sqe); break;
    case Command::kGetFeatures: result = get_features(*association, sqe); break;
    case Command::kAsyncEventRequest: return request_event(*association, sqe);
    case Command::kAbort: result = abort(*association, sqe); break;
    case Command::kKeepAlive: break;
    case Command::kLoadProgram: result = load_program(*association, sqe); break;
    case Command::kActivateProgram: result = activate_program(*association, sqe); break;
    case Command::kDatasetLayout: result = dataset_layout(*association, datasets_, sqe); break;
    case Command::kCreateIoCq: result = association->create_completion_queue(sqe); break;
    case Command::kCreateIoSq: result = association->create_submission_queue(sqe); break;
    case Command::kDeleteIoCq: result = association->delete_completion_queue(sqe); break;
    case Command::kDeleteIoSq:
      result = association->delete_submission_queue(sqe, [&](uint32_t id) { scans_.abort_queue(*association, id); });
      break;
    case Command::kInvalid: break;
  }
  if (result.later) return;
  const bool changed_media = sqe.nsid == wire::kNsidPmem && queue_id != 0 && entry.command != Command::kMemoryRead && result.status == wire::kStatusSuccess;
  if (changed_media && !write_cache) return blocks_->flush([association, queue_id, sqe](uint32_t status) { association->finish(queue_id, sqe, {status}); });
  counters_.took(entry.command, monotonic_ns() - fetched_ns);
  if (result.status == wire::kStatusUnrecoveredRead || result.status == wire::kStatusWriteFault) media_failed();
  association->finish(queue_id, sqe, result);
}

void Device::check_ranges(const std::vector<BlockRange>& ranges) const {
  const bool inside = std::all_of(ranges.begin(), ranges.end(), [this](const BlockRange& r) { return backing_.contains(r.slba, r.blocks); });
  if (!inside) throw std::invalid_argument("a writable range leaves the namespace");
}

std::string Device::grant_ticket(const std::vector<BlockRange>& writable) {
  check_ranges(writable);
  return tickets_.grant(writable);
}

void Device::set_tenant(Tenant tenant) {
  const TenantCaps& c = tenant.caps;
  auto within = [](const char* what, uint64_t value, uint64_t min, uint64_t max) {
    if (value < min || value > max) throw std::invalid_argument(std::string(what) + " must be from " + std::to_string(min) + " to " + std::to_string(max));
  };
  if (tenant.id == kOwnTenant) throw std::invalid_argument("tenant 0 is the device's own");
  if (!scans_.tenants().find(tenant.id) && scans_.tenants().size() >= kTenantsMax) throw std::invalid_argument("there are too many tenants");
  within("memoryBytes", c.heap_bytes, 1ull << 20, settings_.slot_heap_bytes_max);
  within("deadlineMs", c.deadline_ms, 1, kDeadlineMsMax);
  within("compileMs", c.compile_ms, 1, kDeadlineMsMax);
  within("cpuPercent", c.cpu_percent, kCpuPercentMin, kCpuPercentMax);
  within("outputBytes", c.output_bytes, 1024, kMorselOutputBytesMax);
  if (c.stack_bytes != 0) within("stackBytes", c.stack_bytes, kStackBytesMin, kStackBytesMax);
  within("moduleBytes", c.module_bytes, 1, kProgramBytesMax);
  scans_.tenants().set(std::move(tenant));
}

bool Device::extend_ticket(const std::string& ticket, const std::vector<BlockRange>& writable) {
  check_ranges(writable);
  return tickets_.extend(ticket, writable);
}

void Device::revoke_ticket(const std::string& ticket, std::function<void()> quiet) { tickets_.revoke(ticket, std::move(quiet)); }

bool Device::retire_dataset(uint32_t handle, std::function<void()> gone) {
  const bool known = datasets_.retire(handle, [this, handle, gone = std::move(gone)] {
    scans_.drop_dataset(handle);
    gone();
  });
  if (known) scans_.forget_dataset(handle);
  return known;
}

}  // namespace millrace
