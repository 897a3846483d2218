#include "core/scan/scan.h"

#include <algorithm>
#include <array>

#include "core/model/clock.h"
#include "core/scan/execution.h"
#include "core/scan/fault_text.h"

namespace millrace {

Scan::Scan(uint32_t scan_id, std::shared_ptr<Association> scan_owner, ScanSpec scan_spec, Counters& counters)
    : id(scan_id),
      spec(std::move(scan_spec)),
      owner(std::move(scan_owner)),
      opened_ns(monotonic_ns()),
      counters_(counters),
      pool_(static_cast<uint32_t>(spec.row_groups.size())),
      states_(spec.row_groups.size(), State::kPool),
      losses_(spec.module ? spec.row_groups.size() : 0),
      rows_(spec.limit_rows > 0 ? spec.row_groups.size() : 0) {
  stream_.held = spec.held;
}

std::optional<uint32_t> Scan::take_back(std::deque<uint32_t>& from, State state) {
  if (from.empty()) return std::nullopt;
  const uint32_t morsel = from.front();
  from.pop_front();
  states_[morsel] = state;
  return morsel;
}

std::optional<uint32_t> Scan::take_for_device(uint32_t slot, const Scan* streaming) {
  if (!spec.module || !has_room()) return std::nullopt;
  if (spec.stream) return streaming == nullptr || streaming == this ? take_stream(slot) : std::nullopt;
  const std::lock_guard lock(mutex_);
  if (closed_ || stopped_ || end_sent_) return std::nullopt;
  auto morsel = take_back(redo_, State::kDevice);
  const bool too_far = spec.limit_rows > 0 && pool_.head() >= prefix_ + kLimitAheadMax;
  if (!morsel && !too_far) {
    if (const MorselRun run = pool_.take_head(1); run.count == 1) {
      morsel = run.first;
      states_[run.first] = State::kDevice;
    }
  }
  if (!morsel) morsel = take_back(returned_, State::kDevice);
  if (morsel) in_flight_++;
  return morsel;
}

bool Scan::wants_device() const {
  if (!spec.module || !has_room()) return false;
  const std::lock_guard lock(mutex_);
  if (spec.stream) return stream_ready_for(stream_.holder);
  if (closed_ || stopped_ || end_sent_) return false;
  const bool too_far = spec.limit_rows > 0 && pool_.head() >= prefix_ + kLimitAheadMax;
  return !redo_.empty() || !returned_.empty() || (!too_far && pool_.left() > 0);
}

void Scan::give_back_from_device(uint32_t morsel) {
  const std::lock_guard lock(mutex_);
  in_flight_--;
  states_[morsel] = State::kPool;
  if (spec.stream) stream_.next = std::min(stream_.next, morsel);
  else if (!stopped_) redo_.push_front(morsel);
  end_if_over();
}

bool Scan::lose_on_device(uint32_t morsel, uint32_t place, std::string_view text) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || stopped_ || losses_[morsel] < kLostRunsMax) {
      losses_[morsel]++;
      in_flight_--;
      states_[morsel] = State::kPool;
      if (!stopped_ && !spec.stream) redo_.push_front(morsel);
      end_if_over();
      return true;
    }
  }
  fault(morsel, wire::kGuestFaultSlotKilled, place, text);
  return false;
}

void Scan::stage(const Frame& frame) {
  std::vector<std::byte> bytes(frame.bytes());
  write_frame(bytes.data(), frame);
  staged_bytes_.fetch_add(bytes.size());
  counters_.staged_bytes.fetch_add(bytes.size());
  staged_.push_back(std::move(bytes));
}

void Scan::pass_on(std::span<const Frame> frames) {
  if (spec.execution) return;  // it has taken what it wants
  while (!frames.empty()) {
    Waiting waiting;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
      if (waiting_.empty()) {
        for (const Frame& frame : frames) stage(frame);
        return;
      }
      waiting = waiting_.front();
      waiting_.pop_front();
    }
    // Copied outside the lock: claims and the other slots go on. The End frame cannot overtake, this morsel is in flight.
    uint64_t at = 0;
    while (!frames.empty() && frames.front().bytes() <= waiting.data.size() - at) {
      write_frame(waiting.data.data() + at, frames.front());
      at += frames.front().bytes();
      frames = frames.subspan(1);
    }
    if (at == 0) {
      owner->complete(waiting.queue_id, waiting.cid, wire::kStatusDataTransferError, static_cast<uint32_t>(frames.front().bytes()));
      continue;
    }
    Counters::add(counters_.result_bytes, at);
    owner->deliver(waiting.queue_id, waiting.cid, wire::kStatusSuccess, static_cast<uint32_t>(at), 0, at);
  }
}

void Scan::finish(uint32_t morsel, uint64_t rows) {
  states_[morsel] = State::kDone;
  if (spec.limit_rows == 0) return;
  rows_[morsel] = rows;
  for (; prefix_ < states_.size() && states_[prefix_] == State::kDone; prefix_++) prefix_rows_ += rows_[prefix_];
  if (prefix_rows_ >= spec.limit_rows) stop_handing_out();
}

void Scan::stop_handing_out() {
  stopped_ = true;
  pool_.take_all();
  redo_.clear();
  returned_.clear();
}

bool Scan::finish_on_device(uint32_t morsel, uint64_t rows) {
  bool grown = false;
  {
    const std::lock_guard lock(mutex_);
    const uint32_t before = prefix_;
    in_flight_--;
    if (spec.stream && morsel < stream_.delivered) return false;
    if (spec.stream) stream_.delivered = morsel + 1;
    // Its last batch was under way when the state was asked for: there is none to give any more.
    if (spec.stream && stream_.delivered == states_.size()) end_stream_commands(wire::kStatusCommandSequenceError);
    device_ran_++;
    finish(morsel, rows);
    end_if_over();
    grown = prefix_ != before;
  }
  if (spec.execution) spec.execution->ended(*this, 0);
  return grown;
}

void Scan::fault(uint32_t morsel, uint32_t code, uint32_t place, std::string_view text) {
  Frame frame{make_frame(wire::kFrameKindFault, id, morsel, place), nullptr};
  std::array<std::byte, kFrameAlign + (kFaultTextBytesMax + kFrameAlign - 1) / kFrameAlign * kFrameAlign> body{};
  if (!text.empty()) {
    const uint64_t bytes = std::min<uint64_t>(text.size(), kFaultTextBytesMax);
    std::memcpy(body.data(), &bytes, sizeof bytes);
    std::memcpy(body.data() + kFrameAlign, text.data(), bytes);
    frame.body = body.data();
    frame.header.buffer_count = 1;
    frame.header.body_bytes = kFrameAlign + (bytes + kFrameAlign - 1) / kFrameAlign * kFrameAlign;
  }
  frame.header.flags = wire::kFrameFlagLast;
  frame.header.code = code;
  pass_on({&frame, 1});
  // What ends because its host left is nobody's fault.
  uint32_t none = 0;
  if (!closed_) first_fault_.compare_exchange_strong(none, code);
  if (!closed_ && code < counters_.guest_faults.size()) Counters::add(counters_.guest_faults[code], 1);
  {
    const std::lock_guard lock(mutex_);
    in_flight_--;
    states_[morsel] = State::kDone;
    stop_handing_out();  // the query fails: more work for it would be wasted
    end_stream_commands(code < kStatusCodesFrom ? uint32_t{wire::kStatusGuestFault} : code, code < kStatusCodesFrom ? code : 0);
    end_if_over();
  }
  if (spec.execution) spec.execution->ended(*this, code);
}

bool Scan::nothing_left() const {
  if (!spec.module || end_sent_) return true;
  if (spec.stream) return in_flight_ == 0 && (stopped_ || stream_.delivered == states_.size());
  // A host that falls behind gives claims back: slots stay in the scan until those are done.
  return in_flight_ == 0 && (stopped_ || (claimed_ == 0 && pool_.left() == 0 && redo_.empty() && returned_.empty()));
}

Frame Scan::end_frame() const {
  Frame frame{make_frame(wire::kFrameKindEnd, id, 0, 0), nullptr};
  frame.header.flags = wire::kFrameFlagLast;
  frame.header.rows = device_ran_;
  return frame;
}

void Scan::end_if_over() {
  if (closed_ || waiting_.empty() || !nothing_left()) return;
  invariant(staged_.empty(), "nobody waits while frames are staged");
  for (const Waiting& waiting : waiting_) {
    uint32_t bytes = 0;
    if (!end_sent_) {
      const Frame frame = end_frame();
      write_frame(waiting.data.data(), frame);
      bytes = static_cast<uint32_t>(frame.bytes());
      end_sent_ = true;
      Counters::add(counters_.result_bytes, bytes);
    }
    owner->deliver(waiting.queue_id, waiting.cid, wire::kStatusSuccess, bytes, 1, bytes);
  }
  waiting_.clear();
}

bool Scan::result(uint32_t queue_id, uint16_t cid, std::span<std::byte> data) {
  const std::lock_guard lock(mutex_);
  if (staged_.empty()) {
    if (waiting_.size() >= kWaitingResultsMax) {
      owner->complete(queue_id, cid, wire::kStatusInsufficientResources);
      return false;
    }
    waiting_.push_back({queue_id, cid, data});
    end_if_over();
    return false;
  }
  // Copied under the lock, so that frames a slot passes on meanwhile cannot overtake earlier ones of the same morsel.
  const bool was_full = !has_room() || Counters::get(counters_.staged_bytes) >= kStagedTotalBytesMax;
  uint64_t at = 0;
  while (!staged_.empty() && staged_.front().size() <= data.size() - at) {
    std::memcpy(data.data() + at, staged_.front().data(), staged_.front().size());
    at += staged_.front().size();
    staged_bytes_.fetch_sub(staged_.front().size());
    counters_.staged_bytes.fetch_sub(staged_.front().size());
    staged_.pop_front();
  }
  if (at == 0) {
    owner->complete(queue_id, cid, wire::kStatusDataTransferError, static_cast<uint32_t>(staged_.front().size()));
    return false;
  }
  uint32_t end = 0;
  if (staged_.empty() && nothing_left() && !end_sent_ && data.size() - at >= sizeof(wire::FrameHeader)) {
    write_frame(data.data() + at, end_frame());
    at += sizeof(wire::FrameHeader);
    end_sent_ = true;
    end = 1;
  }
  Counters::add(counters_.result_bytes, at);
  owner->deliver(queue_id, cid, wire::kStatusSuccess, static_cast<uint32_t>(at), end, at);
  return was_full;
}

bool Scan::abort(uint32_t queue_id, uint16_t cid) {
  const std::lock_guard lock(mutex_);
  for (auto* waiting : {&stream_.asked, &stream_.restoring}) {
    if (!*waiting || (*waiting)->queue_id != queue_id || (*waiting)->cid != cid) continue;
    waiting->reset();
    return true;
  }
  return std::erase_if(waiting_, [=](const Waiting& w) { return w.queue_id == queue_id && w.cid == cid; }) > 0;
}

void Scan::abort_queue(uint32_t queue_id) {
  const std::lock_guard lock(mutex_);
  for (const Waiting& waiting : waiting_)
    if (waiting.queue_id == queue_id) owner->complete(waiting.queue_id, waiting.cid, wire::kStatusAbortedQueueDeletion);
  std::erase_if(waiting_, [queue_id](const Waiting& w) { return w.queue_id == queue_id; });
  for (auto* waiting : {&stream_.asked, &stream_.restoring}) {
    if (!*waiting || (*waiting)->queue_id != queue_id) continue;
    owner->complete(queue_id, (*waiting)->cid, wire::kStatusAbortedQueueDeletion);
    waiting->reset();
  }
}

uint32_t Scan::claim(std::span<uint32_t> out) {
  const std::lock_guard lock(mutex_);
  if (spec.stream) return 0;  // its state is in one place
  uint32_t n = 0;
  const auto wanted = static_cast<uint32_t>(out.size());
  while (n < wanted) {
    auto morsel = take_back(returned_, State::kHost);
    if (!morsel) break;
    out[n++] = *morsel;
  }
  // Where slots take nothing the host goes from the head: a limit is reached sooner and the order is the merge's.
  const MorselRun run = spec.module ? pool_.take_tail(wanted - n) : pool_.take_head(wanted - n);
  for (uint32_t i = 0; i < run.count; i++) {
    states_[run.first + i] = State::kHost;
    out[n++] = run.first + i;
  }
  // Last, what slots died over: if no slot comes back the host can still end the scan.
  while (n < wanted) {
    auto morsel = take_back(redo_, State::kHost);
    if (!morsel) break;
    out[n++] = *morsel;
  }
  std::sort(out.begin(), out.begin() + n);
  claimed_ += n;
  end_if_over();
  return n;
}

uint32_t Scan::give_back(std::span<const uint32_t> morsels) {
  const std::lock_guard lock(mutex_);
  for (const uint32_t morsel : morsels)
    if (morsel >= states_.size() || states_[morsel] != State::kHost) return wire::kStatusInvalidField;
  for (const uint32_t morsel : morsels) {
    if (states_[morsel] != State::kHost) continue;  // named twice
    states_[morsel] = State::kPool;
    claimed_--;
    if (!stopped_) returned_.push_back(morsel);
  }
  end_if_over();
  return wire::kStatusSuccess;
}

uint32_t Scan::done(std::span<const Finished> finished) {
  const std::lock_guard lock(mutex_);
  for (const Finished& f : finished)
    if (f.morsel >= states_.size() || states_[f.morsel] != State::kHost) return wire::kStatusInvalidField;
  for (const Finished& f : finished) {
    if (states_[f.morsel] != State::kHost) continue;  // named twice
    claimed_--;
    finish(f.morsel, f.rows);
  }
  end_if_over();
  return wire::kStatusSuccess;
}

void Scan::close() {
  const std::lock_guard lock(mutex_);
  if (closed_.exchange(true)) return;
  stop_handing_out();
  if (spec.execution && spec.execution->settle()) owner->complete(spec.execution->queue_id, spec.execution->sqe.cid, wire::kStatusAbortRequested);
  for (const Waiting& waiting : waiting_) owner->complete(waiting.queue_id, waiting.cid, wire::kStatusAbortRequested);
  waiting_.clear();
  end_stream_commands(wire::kStatusAbortRequested);
  stream_.state = stream_.before = {};
  stream_.incoming.reset();
  staged_.clear();
  counters_.staged_bytes.fetch_sub(staged_bytes_.exchange(0));
  claimed_ = 0;
}

bool Scan::on_device() const {
  const std::lock_guard lock(mutex_);
  return in_flight_ > 0;
}

uint32_t Scan::device_ran() const {
  const std::lock_guard lock(mutex_);
  return device_ran_;
}

uint32_t Scan::claims_open() const {
  const std::lock_guard lock(mutex_);
  return claimed_;
}

}  // namespace millrace
