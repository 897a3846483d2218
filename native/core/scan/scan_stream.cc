// Scan, streams: who has the state, and how it gets from one place to the next.
#include <algorithm>
#include <cstring>
#include <utility>

#include "core/scan/scan.h"

namespace millrace {

bool Scan::stream_ready_for(uint32_t slot) const {
  const auto count = static_cast<uint32_t>(states_.size());
  if (closed_ || stopped_ || end_sent_ || stream_.next >= count) return false;
  if (stream_.holder != 0 && stream_.holder != slot) return false;
  // Held, it is only brought to where its host saw it last, so that the state there can be taken.
  return !stream_.held || (stream_.asked && (stream_.holder == 0 || stream_.next < stream_.delivered));
}

std::optional<uint32_t> Scan::take_stream(uint32_t slot) {
  const std::lock_guard lock(mutex_);
  if (!stream_ready_for(slot)) return std::nullopt;
  stream_.holder = slot;
  const uint32_t morsel = stream_.next++;
  states_[morsel] = State::kDevice;
  in_flight_++;
  return morsel;
}

bool Scan::stream_waits() const {
  if (!spec.stream || !has_room()) return false;
  const std::lock_guard lock(mutex_);
  return stream_.holder == 0 && stream_ready_for(0);
}

bool Scan::stream_over() const {
  const std::lock_guard lock(mutex_);
  return closed_ || stopped_ || stream_.delivered == states_.size();
}

bool Scan::stream_to_be_parked() const {
  const std::lock_guard lock(mutex_);
  return stream_.held && stream_.next >= stream_.delivered;
}

bool Scan::stream_held_before(uint32_t morsel) const {
  const std::lock_guard lock(mutex_);
  return stream_.held && morsel >= stream_.delivered;
}

bool Scan::stream_passed(uint32_t morsel) const {
  const std::lock_guard lock(mutex_);
  return morsel < stream_.delivered;
}

StreamState Scan::stream_state() const {
  const std::lock_guard lock(mutex_);
  return stream_.state;
}

void Scan::stream_restored() {
  const std::lock_guard lock(mutex_);
  if (stream_.restoring) owner->complete(stream_.restoring->queue_id, stream_.restoring->cid, wire::kStatusSuccess);
  stream_.restoring.reset();
  stream_.before = {};
  stream_.lost_restores = 0;
}

bool Scan::stream_refused(uint32_t status) {
  const std::lock_guard lock(mutex_);
  stream_.holder = 0;
  stream_.lost_restores = 0;  // it answered
  if (!stream_.restoring) return false;
  owner->complete(stream_.restoring->queue_id, stream_.restoring->cid, status);
  stream_.restoring.reset();
  stream_.state = std::exchange(stream_.before, {});
  stream_.next = stream_.state.batches;
  stream_.delivered = stream_.before_delivered;
  stream_.held = true;
  return true;
}

void Scan::stream_captured(std::shared_ptr<const CheckpointBytes> checkpoint) {
  const std::lock_guard lock(mutex_);
  stream_.holder = 0;
  stream_.lost_captures = 0;
  stream_.state = {std::move(checkpoint), stream_.next};
  if (stream_.asked) answer_checkpoint(*std::exchange(stream_.asked, std::nullopt));
}

void Scan::stream_lost() {
  const std::lock_guard lock(mutex_);
  stream_.holder = 0;
  stream_.next = stream_.state.batches;
}

bool Scan::stream_move_lost(bool giving_up) {
  const std::lock_guard lock(mutex_);
  // Counted apart: a slot that takes the state well only to die giving it up would otherwise begin the count anew each time.
  uint32_t& lost = giving_up ? stream_.lost_captures : stream_.lost_restores;
  if (lost == kLostRunsMax) return false;
  lost++;
  return true;
}

void Scan::fail_stream(uint32_t code, uint32_t place, std::string_view text) {
  uint32_t morsel = 0;
  {
    const std::lock_guard lock(mutex_);
    stream_.holder = 0;
    if (stopped_) return;  // it failed before
    morsel = std::min(stream_.next, static_cast<uint32_t>(states_.size()) - 1);
    in_flight_++;
  }
  fault(morsel, code, place, text);
}

void Scan::end_stream_commands(uint32_t status, uint32_t dw0) {
  for (auto* waiting : {&stream_.asked, &stream_.restoring}) {
    if (*waiting) owner->complete((*waiting)->queue_id, (*waiting)->cid, status, dw0);
    waiting->reset();
  }
}

void Scan::answer_checkpoint(const Stream::Command& command) {
  const std::span<const std::byte> bytes = stream_.state.checkpoint->bytes();
  if (command.offset > bytes.size()) return owner->complete(command.queue_id, command.cid, wire::kStatusInvalidField);
  const uint64_t n = std::min<uint64_t>(bytes.size() - command.offset, command.data.size());
  if (n > 0) std::memcpy(command.data.data(), bytes.data() + command.offset, n);
  owner->deliver(command.queue_id, command.cid, wire::kStatusSuccess, static_cast<uint32_t>(n), static_cast<uint32_t>(bytes.size()), n);
}

uint32_t Scan::checkpoint(const Stream::Command& command) {
  const std::lock_guard lock(mutex_);
  if (!spec.stream) return wire::kStatusInvalidField;
  if (closed_ || stopped_ || stream_.delivered == states_.size() || stream_.asked || stream_.restoring) return wire::kStatusCommandSequenceError;
  stream_.held = true;
  stream_.asked = command;
  if (stream_.holder == 0 && stream_.state.checkpoint && stream_.state.batches == stream_.delivered) answer_checkpoint(*std::exchange(stream_.asked, std::nullopt));
  return wire::kStatusSuccess;
}

uint32_t Scan::restore(const Stream::Command& command, uint64_t total, uint32_t batches, bool& completed) {
  const std::lock_guard lock(mutex_);
  completed = true;
  if (!spec.stream) return wire::kStatusInvalidField;
  if (closed_ || stopped_ || stream_.delivered == states_.size() || !stream_.held || stream_.asked || stream_.restoring) return wire::kStatusCommandSequenceError;
  if (total == 0) {
    if (command.offset != 0 || batches != 0) return wire::kStatusInvalidField;
    stream_.incoming.reset();
    stream_.held = false;
    return wire::kStatusSuccess;
  }
  if (total > kCheckpointBytesMax) return wire::kStatusCheckpointTooBig;
  if (stream_.holder != 0) return wire::kStatusCommandSequenceError;  // its own state was not taken yet
  if (batches >= states_.size() || command.data.empty()) return wire::kStatusInvalidField;
  if (command.offset == 0) {
    stream_.incoming = std::make_shared<CheckpointBytes>(counters_);
    stream_.incoming_bytes = total;
  }
  if (!stream_.incoming || stream_.incoming->bytes().size() != command.offset) return wire::kStatusCommandSequenceError;
  if (stream_.incoming_bytes != total) return wire::kStatusInvalidField;
  const uint64_t n = std::min<uint64_t>(total - command.offset, command.data.size());
  if (const uint32_t status = stream_.incoming->append(command.data.first(n)); status != wire::kStatusSuccess) {
    stream_.incoming.reset();
    return status;
  }
  if (command.offset + n < total) return wire::kStatusSuccess;
  stream_.before = std::exchange(stream_.state, StreamState{std::exchange(stream_.incoming, nullptr), batches});
  stream_.before_delivered = stream_.delivered;
  stream_.next = stream_.delivered = batches;
  stream_.held = false;
  stream_.restoring = command;
  completed = false;
  return wire::kStatusSuccess;
}

}  // namespace millrace
