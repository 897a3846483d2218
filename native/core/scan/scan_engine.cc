#include "core/scan/scan_engine.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "core/model/clock.h"
#include "core/scan/execution.h"

namespace millrace {

namespace {
/** While a tenant waits for memory and others work, whether a turn is over is looked at this often. */
constexpr uint64_t kLookForBanksNs = 100'000'000;
}  // namespace

void ScanEngine::start(const SlotSettings& settings, const SlotSupervisorFactory& factory, CoreModel core, CompletionGate* gate) {
  if (settings.slots == 0) return;
  if (!factory) throw std::invalid_argument("slots are configured but nobody makes them");
  supervisor_ = factory(settings, *this);
  Feeder::Hub hub;
  hub.take = [this](const Taker& taker, uint32_t& last) { return take(taker, last); };
  hub.depart = [this](uint32_t slot, uint32_t bank) { return depart(slot, bank); };
  hub.memory = [this](uint32_t bank) { return memory(bank); };
  hub.left = [this](uint32_t bank) { left(bank); };
  hub.kick_all = [this] { kick_all(); };
  hub.read_failed = [this](const Scan& scan, uint32_t status, uint64_t slba) { read_failed(scan, status, slba); };
  hub.crashed = [this](const Module& module) { return crashed(module); };
  hub.supervisor = supervisor_.get();
  hub.quarantine = &quarantine_;
  hub.core = core;
  hub.media = gate && gate->has_media() ? gate : nullptr;
  hub.slots = settings.slots;
  for (uint32_t id = 1; id <= settings.slots; id++) feeders_.push_back(std::make_unique<Feeder>(id, hub, backing_, counters_));
  for (const auto& feeder : feeders_) feeder->start();
  supervisor_->start();
}

void ScanEngine::stop() {
  if (supervisor_) supervisor_->stop();
  for (const auto& feeder : feeders_) feeder->stop();
  std::map<uint32_t, std::shared_ptr<Scan>> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(scans_);
  }
  for (const auto& [id, scan] : left) scan->close();
  // Leases end while everything that hears of it is still there.
  Views gone;  // outlives the lock
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < seating_.memory().banks(); i++) gone.push_back(std::exchange(seating_.memory().bank(i).view, nullptr));
  for (uint32_t id = 1; id <= feeders_.size(); id++) gone.push_back(std::exchange(seating_.seat(id).view, nullptr));
}

void ScanEngine::slot_up(std::shared_ptr<SlotPort> port) {
  invariant(port->id >= 1 && port->id <= feeders_.size(), "a slot has one of the configured places");
  auto view = port->view;
  {
    const std::lock_guard lock(mutex_);
    Seat& seat = seating_.seat(port->id);
    auto& bank = seating_.memory().bank(port->bank);
    // A bank that is retired meanwhile still names its tenant; the process is about to end.
    if (bank.state == TenantMemory::State::kInUse) seat.tenant = bank.tenant;
    seat.seated_ns = seat.worked_ns = monotonic_ns();
    seat.leaving = false;
    seat.view.swap(view);
    bank.users++;
  }
  feeders_[port->id - 1]->seat(std::move(port));
}

void ScanEngine::slot_down(const std::shared_ptr<SlotPort>& port, SlotDownReason reason) {
  invariant(port->id >= 1 && port->id <= feeders_.size(), "a slot has one of the configured places");
  feeders_[port->id - 1]->unseat(port, reason);
}

std::shared_ptr<Scan> ScanEngine::find(const Association& association, uint32_t id) const {
  const std::lock_guard lock(mutex_);
  const auto it = scans_.find(id);
  // Another association's scan does not exist for this one, and an execution is no scan for anybody.
  return it == scans_.end() || it->second->owner.get() != &association || it->second->spec.execution ? nullptr : it->second;
}

uint32_t ScanEngine::free_id() {
  while (next_id_ == 0 || scans_.count(next_id_) > 0) next_id_++;
  return next_id_++;
}

Taken ScanEngine::take_of(uint32_t tenant, const Taker& taker, uint32_t& last) {
  auto it = scans_.upper_bound(last);
  for (size_t i = 0; i < scans_.size(); i++, ++it) {
    if (it == scans_.end()) it = scans_.begin();
    if (it->second->spec.tenant->id != tenant) continue;
    if (const auto morsel = it->second->take_for_device(taker.slot, taker.streaming)) {
      last = it->first;
      return {TakenMorsel{it->second, *morsel}};
    }
  }
  if (!taker.streaming) return {};
  // A slot has one stream at a time; one that cannot go on, for its host reads nothing, makes room for those that can.
  const bool others = std::any_of(scans_.begin(), scans_.end(), [&](const auto& entry) { return entry.second->spec.tenant->id == tenant && entry.second->stream_waits(); });
  return {std::nullopt, false, others};
}

Taken ScanEngine::take(const Taker& taker, uint32_t& last) {
  const uint32_t slot = taker.slot;
  const uint32_t bank = taker.bank;
  Views gone;
  const std::lock_guard lock(mutex_);
  Seat& seat = seating_.seat(slot);
  if (media_ && seating_.memory().bank(bank).state == TenantMemory::State::kInUse) {
    settle_view(seating_.memory().bank(bank), gone);
    if (seat.view != seating_.memory().bank(bank).view) {
      seat.leaving = true;
      return {std::nullopt, true};
    }
  }
  if (foreign_scans_ == 0 && seat.tenant == kOwnTenant && bank == 0) return take_of(kOwnTenant, taker, last);
  const auto& b = seating_.memory().bank(bank);
  if (b.state == TenantMemory::State::kDraining) {
    seat.leaving = true;
    return {std::nullopt, true};
  }
  bool own_work = false;
  if (const auto next = next_tenant(slot, own_work)) {
    seat.tenant = *next;
    seat.leaving = true;
    return {std::nullopt, true};
  }
  if (seat.leaving) return {std::nullopt, true};
  // The process serves whose memory it maps. While its bank is taken from it, it has nothing to take.
  if (b.state != TenantMemory::State::kInUse || b.tenant != seat.tenant) return {};
  Taken taken = take_of(seat.tenant, taker, last);
  const uint64_t now_ns = monotonic_ns();
  if (taken.morsel) seat.worked_ns = now_ns;
  if (bank_waited_for_ && (!taken.morsel || now_ns - banks_assigned_ns_ >= kLookForBanksNs)) assign_banks();
  return taken;
}

std::optional<uint32_t> ScanEngine::next_tenant(uint32_t slot, bool& own_work) {
  std::vector<TenantNeed> needs;
  for (const auto& [id, scan] : scans_) {
    if (!scan->wants_device()) continue;
    const uint32_t tenant = scan->spec.tenant->id;
    if (std::any_of(needs.begin(), needs.end(), [tenant](const TenantNeed& n) { return n.tenant == tenant; })) continue;
    needs.push_back({tenant, true, tenant == kOwnTenant || seating_.bank_to_seat(tenant) != 0});
    own_work = own_work || tenant == seating_.seat(slot).tenant;
  }
  const uint64_t now_ns = monotonic_ns();
  // Who has been idle long enough to help looks once more.
  if (own_work)
    for (uint32_t other = 1; other <= feeders_.size(); other++) {
      const Seat& s = seating_.seat(other);
      const bool idle = std::none_of(needs.begin(), needs.end(), [&](const TenantNeed& n) { return n.tenant == s.tenant; });
      if (other != slot && idle && now_ns - s.worked_ns >= kHelpNs) feeders_[other - 1]->kick();
    }
  if (seating_.seat(slot).leaving) return std::nullopt;
  return seat_policy(slot - 1, seating_.seats(), needs, now_ns);
}

/** False: it stays where it is after all. */
bool ScanEngine::depart(uint32_t slot, uint32_t from) {
  const std::lock_guard lock(mutex_);
  Seat& seat = seating_.seat(slot);
  const uint32_t to = seating_.bank_to_seat(seat.tenant);
  const auto& bank = seating_.memory().bank(to);
  seat.tenant = bank.tenant;
  if (to == from && seat.view == bank.view) {
    seat.leaving = false;
    return false;
  }
  supervisor_->reseat(slot, {to, bank.slm->read_only_fd(), bank.slm->mapped_bytes(), bank.slm->bytes(), bank.caps, bank.view, view_room(bank.caps, *bank.slm)});
  return true;
}

Slm* ScanEngine::memory(uint32_t bank) {
  const std::lock_guard lock(mutex_);
  return seating_.memory().bank(bank).slm;
}

void ScanEngine::assign_banks() {
  std::vector<Seating::Wanted> wanted;
  for (const auto& [id, scan] : scans_) {
    const bool running = scan->on_device();
    if (!running && !scan->wants_device()) continue;
    const auto it = std::find_if(wanted.begin(), wanted.end(), [&](const Seating::Wanted& w) { return w.tenant->id == scan->spec.tenant->id; });
    if (it == wanted.end()) {
      wanted.push_back({scan->spec.tenant, 1, running});
      continue;
    }
    it->scans++;
    it->running = it->running || running;
  }
  banks_assigned_ns_ = monotonic_ns();
  const Seating::Decided decided = seating_.assign(std::move(wanted), banks_assigned_ns_);
  bank_waited_for_ = decided.waiting;
  for (const uint32_t bank : decided.retire) supervisor_->retire(bank);
}

void ScanEngine::bank_unmapped(uint32_t bank) {
  {
    const std::lock_guard lock(mutex_);
    seating_.memory().bank(bank).unmapped = true;
  }
  scrub_if_free(bank);
}

void ScanEngine::left(uint32_t bank) {
  {
    const std::lock_guard lock(mutex_);
    auto& b = seating_.memory().bank(bank);
    invariant(b.users > 0, "a feeder leaves the memory it was given");
    b.users--;
    if (b.state == TenantMemory::State::kDraining && b.users == 0) {
      Seating::Decided decided;
      seating_.retire(bank, decided);
      supervisor_->retire(bank);
    }
  }
  scrub_if_free(bank);
}

/** Once no process maps a retired bank and no feeder writes there: its bytes go before anybody else's come. */
void ScanEngine::scrub_if_free(uint32_t bank) {
  auto& b = seating_.memory().bank(bank);
  {
    const std::lock_guard lock(mutex_);
    if (b.state != TenantMemory::State::kRetiring || !b.unmapped || b.users > 0) return;
    b.state = TenantMemory::State::kScrubbing;
  }
  b.slm->scrub();
  std::shared_ptr<const MediaView> view;
  {
    const std::lock_guard lock(mutex_);
    b.state = TenantMemory::State::kFree;
    b.view.swap(view);
    for (const auto& [id, scan] : scans_)
      if (scan->spec.tenant->id == b.tenant) scan->viewed = false;
    assign_banks();
  }
  kick_all();
}

/** The whole dataset and what the bank had, as far as the window goes: then the dataset alone, then what is wanted of it. */
std::shared_ptr<const MediaView> ScanEngine::view_with(const TenantMemory::Bank& bank, const MediaView::Part& wanted) const {
  const uint64_t bytes_max = view_room(bank.caps, *bank.slm);
  const auto& dataset = wanted.dataset;
  std::vector<MediaView::Part> parts = {{dataset, {}, {}}};
  if (bank.view)
    for (const MediaView::Part& part : bank.view->parts())
      if (part.dataset != dataset) parts.push_back(part);
  if (auto view = MediaView::make(std::move(parts), media_.get(), bytes_max)) return view;
  if (auto view = MediaView::make({{dataset, {}, {}}}, media_.get(), bytes_max)) return view;
  return wanted.whole() ? nullptr : MediaView::make({wanted}, media_.get(), bytes_max);
}

void ScanEngine::settle_view(TenantMemory::Bank& bank, Views& gone) {
  for (const auto& [id, scan] : scans_) {
    if (scan->viewed || scan->spec.tenant->id != bank.tenant || !scan->wants_device()) continue;
    scan->viewed = true;
    const auto& spec = scan->spec;
    // A retired dataset is let go as soon as its readers are done: no view takes it up any more.
    if (spec.execution) {
      settle_view(bank, *spec.execution, gone);
      continue;
    }
    if (spec.columns.empty() || datasets_.find(spec.dataset->header().handle) != spec.dataset) continue;
    const auto seen = [&](uint32_t column, uint32_t group) {
      const wire::ChunkRecord& record = spec.dataset->chunk(column, group);
      return record.used_bytes == 0 || bank.view->find(record.slba, chunk_blocks(record));
    };
    const bool all = bank.view && std::all_of(spec.columns.begin(), spec.columns.end(), [&](uint32_t column) {
      return std::all_of(spec.row_groups.begin(), spec.row_groups.end(), [&](uint32_t group) { return seen(column, group); });
    });
    if (all) continue;
    auto view = view_with(bank, {spec.dataset, spec.columns, spec.row_groups});
    if (view) gone.push_back(std::exchange(bank.view, std::move(view)));
  }
}

void ScanEngine::settle_view(TenantMemory::Bank& bank, const Execution& execution, Views& gone) const {
  for (size_t i = 0; i < execution.leases.size(); i++) {
    const wire::MemoryRange& range = execution.inputs()[i];
    const auto& dataset = execution.leases[i];
    if (!dataset || !Execution::whole_blocks(range) || datasets_.find(dataset->header().handle) != dataset) continue;
    if (bank.view && bank.view->find(range.start / kBlockBytes, range.length / kBlockBytes)) continue;
    if (auto view = view_with(bank, {dataset, {}, {}})) gone.push_back(std::exchange(bank.view, std::move(view)));
  }
}

void ScanEngine::read_failed(const Scan& scan, uint32_t status, uint64_t slba) {
  media_failed();
  // An execution's own completion is its entry; a scan's frames come by commands that succeed.
  if (scan.spec.execution) return;
  constexpr uint16_t kNoCommand = 0xffff;
  scan.owner->controller.errors.record(kNoCommand, kNoCommand, status, wire::kNsidNvm, slba);
  Counters::add(counters_.error_entries, 1);
}

void ScanEngine::media_failed() {
  Counters::add(counters_.media_errors, 1);
  tell_media_failed_();
}

void ScanEngine::forget_dataset(uint32_t handle) {
  if (!media_) return;
  Views gone;
  {
    const std::lock_guard lock(mutex_);
    for (uint32_t i = 0; i < seating_.memory().banks(); i++) {
      auto& bank = seating_.memory().bank(i);
      if (bank.view && bank.view->holds(handle)) gone.push_back(std::exchange(bank.view, bank.view->without(handle)));
    }
  }
  if (!gone.empty()) kick_all();
}

void ScanEngine::drop_dataset(uint32_t handle) {
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < seating_.memory().banks(); i++) {
    const auto& bank = seating_.memory().bank(i);
    // One that is being scrubbed forgets everything anyway.
    if (bank.slm && bank.state != TenantMemory::State::kScrubbing) bank.slm->resident().drop_dataset(handle);
  }
}

std::vector<ScanEngine::BankReport> ScanEngine::banks() const {
  std::vector<BankReport> reports;
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < seating_.memory().banks(); i++) {
    const auto& bank = seating_.memory().bank(i);
    if (bank.state != TenantMemory::State::kInUse) continue;
    const auto tenant = tenants_.find(bank.tenant);
    reports.push_back({tenant ? tenant->name : "", bank.slm->bytes(), bank.slm->resident().stats(), bank.slm->window_loads.load(std::memory_order_relaxed)});
  }
  return reports;
}

bool ScanEngine::crashed(const Module& module) {
  const std::string digest = quarantine_.strike(module);
  if (digest.empty()) return false;
  events_("slotFault", "the kernel sha256:" + digest + " crashed " + std::to_string(kCrashesMax) + " slots and is not run again");
  return true;
}

void ScanEngine::kick_all() {
  for (const auto& feeder : feeders_) feeder->kick();
}

void ScanEngine::detach(const Association& association) {
  std::vector<std::shared_ptr<Scan>> gone;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = scans_.begin(); it != scans_.end();) {
      if (it->second->owner.get() != &association) {
        ++it;
        continue;
      }
      if (it->second->spec.tenant->id != kOwnTenant) foreign_scans_--;
      if (it->second->spec.execution) executions_--;
      gone.push_back(std::move(it->second));
      it = scans_.erase(it);
    }
  }
  for (const auto& scan : gone) {
    scan->close();
    record(*scan);
  }
  if (gone.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    assign_banks();
  }
  kick_all();
}

std::vector<std::shared_ptr<Scan>> ScanEngine::scans_of(const Association& association) const {
  std::vector<std::shared_ptr<Scan>> own;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, scan] : scans_)
    if (scan->owner.get() == &association) own.push_back(scan);
  return own;
}

bool ScanEngine::abort(const Association& association, uint32_t queue_id, uint16_t cid) {
  const auto own = scans_of(association);
  return std::any_of(own.begin(), own.end(), [=, this](const auto& scan) {
    const auto& execution = scan->spec.execution;
    if (!execution) return scan->abort(queue_id, cid);
    if (execution->queue_id != queue_id || execution->sqe.cid != cid || !execution->settle()) return false;
    forget(*scan);
    return true;
  });
}

void ScanEngine::abort_queue(const Association& association, uint32_t queue_id) {
  for (const auto& scan : scans_of(association)) {
    scan->abort_queue(queue_id);
    const auto& execution = scan->spec.execution;
    if (!execution || execution->queue_id != queue_id || !execution->settle()) continue;
    forget(*scan);
    scan->owner->complete(queue_id, execution->sqe.cid, wire::kStatusAbortedQueueDeletion);
  }
}

size_t ScanEngine::scans_open() const {
  const std::lock_guard lock(mutex_);
  return scans_.size();
}

uint64_t ScanEngine::claims_open() const {
  const std::lock_guard lock(mutex_);
  uint64_t sum = 0;
  for (const auto& [id, scan] : scans_) sum += scan->claims_open();
  return sum;
}

std::vector<ScanEngine::SlotReport> ScanEngine::slots() const {
  std::vector<SlotReport> reports;
  if (!supervisor_) return reports;
  for (SlotStatus& status : supervisor_->status()) {
    const bool known = status.id >= 1 && status.id <= feeders_.size();
    const uint64_t executes = known ? feeders_[status.id - 1]->executes() : 0;
    std::shared_ptr<const Tenant> tenant;
    if (known) {
      const std::lock_guard lock(mutex_);
      tenant = tenants_.find(seating_.seat(status.id).tenant);
    }
    reports.push_back({std::move(status), executes, tenant ? tenant->name : ""});
  }
  return reports;
}

}  // namespace millrace
