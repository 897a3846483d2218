// Feeder, streams: a kernel's state into the slot, out of it, and what becomes of it when the slot ends. One such command is under way at a time.
#include <algorithm>

#include "core/model/clock.h"
#include "core/scan/fault_text.h"
#include "core/scan/feeder.h"

namespace millrace {

Command Feeder::command_of(Kind kind) {
  switch (kind) {
    case Kind::kExecute: return Command::kExecute;
    case Kind::kLoad: return Command::kLoadProgram;
    case Kind::kCheckpoint: return Command::kScanCheckpoint;
    case Kind::kRestore:
    case Kind::kForget: return Command::kScanRestore;
  }
  return Command::kInvalid;
}

/** Its area is free (refill and tend_stream look), and holds the piece that goes in. */
void Feeder::submit_stream(Kind kind, wire::StreamHeader header) {
  const uint32_t area = *free_area();
  header.scan = streaming_->id;
  header.area_offset_bytes = out_offset(area);
  if (kind == Kind::kCheckpoint) header.area_bytes = kSlotOutBytes;
  std::memcpy(port_->data + descriptor_offset(area), &header, sizeof header);
  InFlight entry;
  entry.kind = kind;
  entry.scan = streaming_;
  entry.area = area;
  entry.module = streaming_->spec.module;
  entry.budget_ms = streaming_->spec.deadline_ms;
  counters_.command(QueueKind::kSlot, command_of(kind));
  entry.cid = submit(kind == Kind::kCheckpoint ? wire::kOpcodeSlotCheckpoint : wire::kOpcodeSlotRestore, descriptor_offset(area), sizeof header, 0);
  entry.submitted_ns = monotonic_ns();
  in_flight_.push_back(std::move(entry));
  counters_.slot_depth.fetch_add(1, std::memory_order_relaxed);
  state_in_flight_ = true;
  if (in_flight_.size() == 1) announce_front();
}

bool Feeder::ensure_streaming(const std::shared_ptr<Scan>& scan, uint32_t program) {
  if (state_in_flight_) return false;
  if (streaming_ == scan && stream_whole_) return true;
  if (streaming_ != scan) {
    invariant(!streaming_, "a slot has one stream at a time");
    streaming_ = scan;
    stream_whole_ = false;
    giving_ = scan->stream_state();
    given_ = 0;
  }
  const std::span<const std::byte> whole = giving_.checkpoint ? giving_.checkpoint->bytes() : std::span<const std::byte>();
  const std::span<const std::byte> piece = whole.subspan(given_, std::min<uint64_t>(whole.size() - given_, kSlotOutBytes));
  wire::StreamHeader header{};
  header.program = program;
  header.input_columns = static_cast<uint32_t>(scan->spec.columns.size());
  header.area_bytes = piece.size();
  header.piece_offset_bytes = given_;
  header.total_bytes = whole.size();
  header.batches = giving_.batches;
  if (!piece.empty()) std::memcpy(port_->data + out_offset(*free_area()), piece.data(), piece.size());
  given_ += piece.size();
  submit_stream(Kind::kRestore, header);
  return false;
}

bool Feeder::tend_stream() {
  if (!streaming_ || state_in_flight_ || !free_area()) return false;
  const bool busy = std::any_of(in_flight_.begin(), in_flight_.end(), [this](const InFlight& f) { return f.scan == streaming_; }) || (pending_ && pending_->scan == streaming_) ||
                    (staged_ && staged_->taken.scan == streaming_);
  if (busy) return false;
  if (streaming_->stream_over()) {
    wire::StreamHeader header{};
    header.flags = wire::kStreamFlagForget;
    submit_stream(Kind::kForget, header);
    return true;
  }
  if (!stream_whole_ || !(leaving_ || park_ || streaming_->stream_to_be_parked())) return false;
  captured_ = std::make_shared<CheckpointBytes>(counters_);
  submit_stream(Kind::kCheckpoint, {});
  return true;
}

/** False: the slot was caught lying. */
bool Feeder::complete_stream(InFlight& front, const wire::Cqe& cqe, uint32_t status, bool more) {
  if (front.kind == Kind::kCheckpoint && status == wire::kStatusSuccess) {
    if (cqe.dw0 > kSlotOutBytes) {
      condemn("its checkpoint is longer than its area", wire::kGuestFaultAbiViolation);
      return false;
    }
    if (front.fault == 0) front.fault = captured_->append({port_->data + out_offset(front.area), cqe.dw0});
    if (more && front.fault == 0) port_->ring.go_on(front.cid);
    if (more && front.fault != 0) port_->ring.cancel(front.cid);  // it waits for room in its area; the deadline runs on
    if (more) return true;
  }
  uint32_t fault = front.fault;
  std::string text = front.fault_text;
  if (status != wire::kStatusSuccess && fault == 0) {
    const bool refused = front.kind == Kind::kRestore && (status == wire::kStatusCheckpointInvalid || status == wire::kStatusCheckpointMismatch);
    fault = refused ? status : known_fault(cqe).value_or(wire::kGuestFaultAbiViolation);
    text = refused ? "the slot does not take the state the stream was in" : fault_words(front, cqe);
  }
  const Kind kind = front.kind;
  state_in_flight_ = false;
  finish_front();
  if (!in_flight_.empty()) mark_started(in_flight_.front());
  if (kind == Kind::kRestore && fault == 0) {
    stream_whole_ = given_ == (giving_.checkpoint ? giving_.checkpoint->bytes().size() : 0);
    if (!stream_whole_) return true;
    giving_ = {};
    streaming_->stream_restored();
    return true;
  }
  const std::shared_ptr<Scan> scan = std::exchange(streaming_, nullptr);
  stream_whole_ = false;
  giving_ = {};
  const std::shared_ptr<CheckpointBytes> captured = std::exchange(captured_, nullptr);
  if (pending_ && pending_->scan == scan) {
    scan->give_back_from_device(pending_->morsel);
    pending_.reset();
  }
  if (kind == Kind::kForget) return true;
  if (fault == 0) scan->stream_captured(captured);
  else if (fault < kStatusCodesFrom || !scan->stream_refused(fault)) scan->fail_stream(fault, slot_, text);
  hub_.kick_all();
  return true;
}

/** The slot is gone. What it had of a stream is where its last checkpoint left it; a command that brought the slot down is the stream's fault. */
void Feeder::lose_stream(SlotDownReason reason, bool was_overdue) {
  // What ran while the state was on its way: the command that moves it, or the Load of its module that this waits behind.
  const InFlight* ran = state_in_flight_ && in_flight_.front().kind != Kind::kExecute && in_flight_.front().kind != Kind::kForget ? &in_flight_.front() : nullptr;
  state_in_flight_ = stream_whole_ = park_ = false;
  giving_ = {};
  captured_.reset();
  const std::shared_ptr<Scan> scan = std::exchange(streaming_, nullptr);
  if (!scan) return;
  if (ran && ran->kind != Kind::kLoad) {
    if (ran->fault != 0) return scan->fail_stream(ran->fault, slot_, ran->fault_text);
    if (reason == SlotDownReason::kOutOfMemory) return scan->fail_stream(wire::kGuestFaultMemoryLimit, slot_, "moving the kernel's state took more memory than a slot has");
    if (reason == SlotDownReason::kDeadline && was_overdue) return scan->fail_stream(wire::kGuestFaultTimeout, slot_, "moving the kernel's state took longer than the deadline of " + std::to_string(scan->spec.deadline_ms) + " ms");
  }
  const bool killed = reason == SlotDownReason::kDied || reason == SlotDownReason::kCrashed;
  if (ran && killed && !scan->stream_move_lost(ran->kind == Kind::kCheckpoint))
    return scan->fail_stream(wire::kGuestFaultSlotKilled, slot_, "slot " + std::to_string(slot_) + " ended while the kernel's state moved (" + port_->end + "), a second time");
  scan->stream_lost();
}

}  // namespace millrace
