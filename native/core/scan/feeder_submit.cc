// Feeder, towards the slot: morsels in, commands out.
#include <algorithm>

#include "core/model/clock.h"
#include "core/scan/execution.h"
#include "core/scan/feeder.h"

namespace millrace {

bool Feeder::refill() {
  bool worked = false;
  // Media works while the slot computes: one morsel is read ahead even where the slot takes one at a time.
  while (free_area() && (executes_in_flight_ < depth() || (hub_.media && !staged_))) {
    if (staged_) {
      if (!staged_ready()) break;
      worked = true;
      continue;
    }
    std::optional<TakenMorsel> taken = std::exchange(pending_, std::nullopt);
    if (!taken && !leaving_) {
      Taken next = hub_.take({slot_, port_->bank, streaming_.get()}, round_);
      leaving_ = next.leave;
      park_ = next.park;
      taken = std::move(next.morsel);
    }
    if (!taken) break;
    if (!begin(std::move(*taken))) break;
    worked = true;
  }
  return worked;
}

/** False: it is pending until something completes. */
bool Feeder::begin(TakenMorsel taken) {
  if (taken.scan->closed()) {
    taken.scan->give_back_from_device(taken.morsel);
    return true;
  }
  if (hub_.quarantine->refuses(*taken.scan->spec.module)) {
    taken.scan->fault(taken.morsel, wire::kStatusKernelQuarantined, slot_);
    return true;
  }
  if (const auto& spec = taken.scan->spec; spec.module->bytes.size() > spec.tenant->caps.module_bytes) {
    taken.scan->fault(taken.morsel, wire::kGuestFaultModuleRejected, slot_, "the module has " + std::to_string(spec.module->bytes.size()) + " bytes, its tenant's may have " + std::to_string(spec.tenant->caps.module_bytes));
    return true;
  }
  uint32_t program = 0;
  if (!ensure_loaded(taken.scan->spec, program)) {
    pending_ = std::move(taken);
    return false;
  }
  if (taken.scan->spec.stream) {
    if (!ensure_streaming(taken.scan, program)) {
      pending_ = std::move(taken);
      return false;
    }
    if (taken.scan->stream_held_before(taken.morsel)) {
      taken.scan->give_back_from_device(taken.morsel);
      return true;
    }
  }
  StagedInputs inputs;
  uint32_t status = wire::kStatusSuccess;
  const Feed::Outcome outcome = feed_.stage(*taken.scan, taken.morsel, executes_in_flight_ == 0, columns_, inputs, status);
  if (outcome == Feed::Outcome::kWait) {
    pending_ = std::move(taken);
    return false;
  }
  if (outcome == Feed::Outcome::kFailed) {
    if (status == wire::kStatusUnrecoveredRead || status == wire::kStatusChecksumMismatch) hub_.read_failed(*taken.scan, status, feed_.failed_slba());
    taken.scan->fault(taken.morsel, status, slot_);
    return true;
  }
  if (!hold_staged(taken, inputs, program)) execute(std::move(taken), std::move(inputs), program);
  return true;
}

/** Its chunks are in SLM, columns_ says where. */
void Feeder::execute(TakenMorsel taken, StagedInputs inputs, uint32_t program) {
  const uint32_t area = *free_area();
  const auto& spec = taken.scan->spec;
  wire::MorselHeader header{};
  header.scan = taken.scan->id;
  header.morsel = taken.morsel;
  // Of any column: count(*) alone reads none.
  header.rows = spec.execution ? spec.execution->rows : spec.dataset->chunk(0, spec.row_groups[taken.morsel]).rows;
  header.flags = spec.execution ? uint32_t{wire::kMorselFlagOnlyInputs} : 0u;
  if (spec.stream) header.flags = wire::kMorselFlagStream | (taken.morsel + 1 == spec.row_groups.size() ? uint32_t{wire::kMorselFlagFinish} : 0u);
  header.column_count = static_cast<uint32_t>(columns_.size());
  header.out_offset_bytes = out_offset(area);
  header.out_bytes_max = spec.out_bytes_max;
  header.program = program;
  std::byte* at = port_->data + descriptor_offset(area);
  std::memcpy(at, &header, sizeof header);
  if (!columns_.empty()) std::memcpy(at + sizeof header, columns_.data(), columns_.size() * sizeof(wire::MorselColumn));

  InFlight entry;
  entry.scan = std::move(taken.scan);
  entry.morsel = taken.morsel;
  entry.area = area;
  entry.module = entry.scan->spec.module;
  entry.budget_ms = entry.scan->spec.deadline_ms;
  entry.inputs = std::move(inputs);
  entry.passed = spec.stream && entry.scan->stream_passed(entry.morsel);
  mark_started(entry);
  counters_.command(QueueKind::kSlot, Command::kExecute);
  entry.cid = submit(wire::kOpcodeExecute, descriptor_offset(area), sizeof header + columns_.size() * sizeof(wire::MorselColumn), 0);
  entry.submitted_ns = monotonic_ns();
  in_flight_.push_back(std::move(entry));
  counters_.slot_depth.fetch_add(1, std::memory_order_relaxed);
  executes_in_flight_++;
  if (in_flight_.size() == 1) announce_front();
}

bool Feeder::ensure_loaded(const ScanSpec& spec, uint32_t& program) {
  const auto& module = spec.module;
  if (const auto known = programs_.find(module->id)) {
    program = *known;
    return true;
  }
  if (load_in_flight_) return false;  // the program area is in use
  program = programs_.assign(module->id);
  std::memcpy(port_->data, module->bytes.data(), module->bytes.size());
  InFlight entry;
  entry.kind = Kind::kLoad;
  entry.budget_ms = spec.compile_ms;
  entry.module = module;
  counters_.command(QueueKind::kSlot, Command::kLoadProgram);
  entry.cid = submit(wire::kOpcodeAdminLoadProgram, 0, module->bytes.size(), program);
  entry.submitted_ns = monotonic_ns();
  in_flight_.push_back(std::move(entry));
  counters_.slot_depth.fetch_add(1, std::memory_order_relaxed);
  load_in_flight_ = true;
  if (in_flight_.size() == 1) announce_front();
  return true;
}

std::optional<uint32_t> Feeder::free_area() const {
  for (uint32_t area = 0; area < kSlotDepth; area++)
    if (std::none_of(in_flight_.begin(), in_flight_.end(), [area](const InFlight& f) { return f.kind != Kind::kLoad && f.area == area; })) return area;
  return std::nullopt;
}

uint16_t Feeder::submit(uint8_t opc, uint64_t offset, uint64_t length, uint32_t cdw10) {
  wire::Sqe sqe{};
  sqe.opc = opc;
  sqe.cid = next_cid_;
  sqe.nsid = wire::kNsidCompute;
  sqe.prp1 = offset;
  sqe.prp2 = length;
  sqe.cdw10 = cdw10;
  next_cid_ = static_cast<uint16_t>((next_cid_ + 1) % kSlotRingEntries);
  invariant(port_->ring.submit(&sqe, 1) == 1, "the slot's ring has room for kSlotDepth Executes and a Load");
  return sqe.cid;
}

/** The first command in flight is the one that runs: its deadline starts, or goes on after its output was drained. */
void Feeder::announce_front() {
  if (in_flight_.empty() || !hub_.supervisor) return;
  InFlight& front = in_flight_.front();
  front.running_since_ns = monotonic_ns();
  const uint64_t ran_ms = front.ran_ns / 1'000'000;
  hub_.supervisor->command_started(slot_, front.cid, static_cast<uint32_t>(front.budget_ms > ran_ms ? front.budget_ms - ran_ms : 1));
}

}  // namespace millrace
