#include "core/scan/scan_engine.h"

#include <algorithm>
#include <stdexcept>

namespace millrace {

void ScanEngine::start(const SlotSettings& settings, const SlotSupervisorFactory& factory, CoreModel core) {
  if (settings.slots == 0) return;
  if (!factory) throw std::invalid_argument("slots are configured but nobody makes them");
  supervisor_ = factory(settings, *this);
  const Feeder::Hub hub{[this](uint32_t& last) { return take(last); }, [this] { kick_all(); }, [this](const Module& module) { return crashed(module); }, supervisor_.get(), &quarantine_, core};
  for (uint32_t id = 1; id <= settings.slots; id++) feeders_.push_back(std::make_unique<Feeder>(id, hub, backing_, slm_, counters_));
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
}

void ScanEngine::slot_up(std::shared_ptr<SlotPort> port) {
  invariant(port->id >= 1 && port->id <= feeders_.size(), "a slot has one of the configured places");
  feeders_[port->id - 1]->seat(std::move(port));
}

void ScanEngine::slot_down(const std::shared_ptr<SlotPort>& port, SlotDownReason reason) {
  invariant(port->id >= 1 && port->id <= feeders_.size(), "a slot has one of the configured places");
  feeders_[port->id - 1]->unseat(port, reason);
}

std::shared_ptr<Scan> ScanEngine::find(const Association& association, uint32_t id) const {
  const std::lock_guard lock(mutex_);
  const auto it = scans_.find(id);
  // Another association's scan does not exist for this one.
  return it == scans_.end() || it->second->owner.get() != &association ? nullptr : it->second;
}

std::optional<TakenMorsel> ScanEngine::take(uint32_t& last) {
  const std::lock_guard lock(mutex_);
  auto it = scans_.upper_bound(last);
  for (size_t i = 0; i < scans_.size(); i++, ++it) {
    if (it == scans_.end()) it = scans_.begin();
    if (const auto morsel = it->second->take_for_device()) {
      last = it->first;
      return TakenMorsel{it->second, *morsel};
    }
  }
  return std::nullopt;
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
      gone.push_back(std::move(it->second));
      it = scans_.erase(it);
    }
  }
  for (const auto& scan : gone) scan->close();
  if (!gone.empty()) kick_all();
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
  return std::any_of(own.begin(), own.end(), [=](const auto& scan) { return scan->abort(queue_id, cid); });
}

void ScanEngine::abort_queue(const Association& association, uint32_t queue_id) {
  for (const auto& scan : scans_of(association)) scan->abort_queue(queue_id);
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
    const uint64_t executes = status.id >= 1 && status.id <= feeders_.size() ? feeders_[status.id - 1]->executes() : 0;
    reports.push_back({std::move(status), executes});
  }
  return reports;
}

}  // namespace millrace
