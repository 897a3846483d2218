#include "slot_peer.h"

#include <poll.h>

#include <chrono>
#include <cstring>

namespace millrace::test {

SlotPeer::SlotPeer(uint32_t id, const SlotSeat& seat, SlotEngine& engine)
    : engine_(engine),
      memory_(SharedMemory::create("slot-peer", RingView::bytes_for(kSlotRingEntries, kSlotRingEntries) + kSlotDataBytes)),
      ring_(RingView::over(memory_.data(), kSlotRingEntries, kSlotRingEntries)),
      data_(memory_.data() + RingView::bytes_for(kSlotRingEntries, kSlotRingEntries)),
      bell_(make_event_fd()),
      wake_(make_event_fd()) {
  // As a slot does: the SLM, and the pieces of the media behind it.
  window_bytes_ = seat.slm_bytes + seat.view_bytes();
  void* at = ::mmap(nullptr, window_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(at != MAP_FAILED);
  CHECK(::mmap(at, seat.slm_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, seat.slm_fd, 0) == at);
  auto* end = static_cast<std::byte*>(at) + seat.slm_bytes;
  if (seat.view) {
    CHECK(::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, seat.view->media_fd(), 0) == MAP_FAILED);
    for (const MediaView::Extent& extent : seat.view->extents()) {
      CHECK(extent.at == static_cast<uint64_t>(end - static_cast<std::byte*>(at)) - seat.slm_bytes);
      CHECK(::mmap(end, extent.bytes, PROT_READ, MAP_SHARED | MAP_FIXED, seat.view->media_fd(), static_cast<off_t>(extent.media)) == end);
      end += extent.bytes;
    }
  }
  CHECK(::mmap(nullptr, seat.slm_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, seat.slm_fd, 0) == MAP_FAILED);
  slm_ = static_cast<const std::byte*>(at);
  port_ = std::make_shared<SlotPort>();
  port_->id = id;
  port_->pid = 0;
  port_->bank = seat.bank;
  port_->view = seat.view;
  port_->ring = Submitter(ring_, Waker::event_fd(bell_.get()), true);
  port_->data = data_;
  port_->completion_fd = wake_.get();
}

void SlotPeer::start() {
  thread_ = std::thread([this] { run(); });
}

void SlotPeer::complete(uint16_t cid, uint32_t status, uint32_t dw0, uint32_t dw1) {
  wire::Cqe& cqe = ring_.cq[tail_ % kSlotRingEntries];
  cqe.dw0 = dw0;
  cqe.dw1 = dw1;
  const uint32_t phase = 1u ^ (tail_ / kSlotRingEntries & 1u);
  const uint32_t last = cid | (status << 1 | phase) << 16;
  shared_word(*reinterpret_cast<uint32_t*>(reinterpret_cast<std::byte*>(&cqe) + 12)).store(last, std::memory_order_release);
  tail_++;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  auto sleeping = shared_word(ring_.header->submitter_sleeping);
  if (sleeping.load() == 1) {
    sleeping.store(0);
    Waker::event_fd(wake_.get()).wake();
  }
}

void SlotPeer::put_frame(uint64_t at, const wire::MorselHeader& morsel, uint16_t flags, uint64_t value, uint64_t padding_bytes) {
  wire::FrameHeader header{};
  header.magic = wire::kFrameHeaderMagic;
  header.kind = wire::kFrameKindResult;
  header.flags = flags;
  header.scan = morsel.scan;
  header.morsel = morsel.morsel;
  header.sequence = 4711;  // restamped
  header.place = 99;       // restamped
  header.rows = 1;
  header.buffer_count = 2;
  header.body_bytes = 128 + padding_bytes;
  const uint64_t table[2] = {0, 8 + padding_bytes};
  std::memset(data_ + at, 0, 192);
  std::memcpy(data_ + at, &header, sizeof header);
  std::memcpy(data_ + at + 64, table, sizeof table);
  std::memcpy(data_ + at + 128, &value, sizeof value);
}

uint64_t SlotPeer::sum_of(const wire::Sqe& sqe, const wire::MorselHeader& morsel) {
  uint64_t sum = 0;
  for (uint32_t c = 0; c < morsel.column_count; c++) {
    wire::MorselColumn column;
    std::memcpy(&column, data_ + sqe.prp1 + sizeof morsel + c * sizeof column, sizeof column);
    if (column.data_offset == ~0ull) continue;
    CHECK(column.data_offset + column.data_bytes <= window_bytes_);
    for (uint64_t i = 0; i < column.data_bytes; i++) sum += static_cast<uint64_t>(slm_[column.data_offset + i]);
  }
  return sum;
}

bool SlotPeer::cancelled(uint16_t cid) { return stop_.load() || shared_word(ring_.header->cancel_word).load() == cid + 1u; }

void SlotPeer::fill_until_it_waits(uint16_t cid, const wire::MorselHeader& morsel) {
  const uint64_t bytes = morsel.out_bytes_max / 64 * 64;
  for (;;) {
    put_frame(morsel.out_offset_bytes, morsel, 0, 0, bytes - 192);
    const uint32_t before = shared_word(ring_.header->continue_word).load();
    complete(cid, 0, static_cast<uint32_t>(bytes), 1);
    while (shared_word(ring_.header->continue_word).load() == before) {
      if (PeerSupervisor::stop_waiting.load() || stop_.load()) return complete(cid, wire::kStatusGuestFault, wire::kGuestFaultTimeout, 0);
      std::this_thread::yield();
    }
  }
}

void SlotPeer::execute(const wire::Sqe& sqe) {
  // As a slot does: a stop meant for an earlier command is none for this one.
  uint32_t word = shared_word(ring_.header->cancel_word).load();
  while (word != 0 && word != sqe.cid + 1u && !shared_word(ring_.header->cancel_word).compare_exchange_weak(word, 0)) {
  }
  wire::MorselHeader morsel;
  std::memcpy(&morsel, data_ + sqe.prp1, sizeof morsel);
  const auto act = static_cast<Act>(programs_[morsel.program]);
  const uint64_t out = morsel.out_offset_bytes;
  life_++;
  if (act == Act::kDie || (act == Act::kDieOften && life_ % 7 == 0)) {
    dead_.store(true);
    return;
  }
  executed_++;
  switch (act) {
    case Act::kFault: return complete(sqe.cid, wire::kStatusGuestFault, wire::kGuestFaultTrapDivide, 0);
    case Act::kLieBytes: return complete(sqe.cid, 0, 0xffffffc0u, 0);
    case Act::kLieOrder: return complete(static_cast<uint16_t>(sqe.cid + 1), 0, 0, 0);
    case Act::kLieLast: put_frame(out, morsel, 0, 1); return complete(sqe.cid, 0, 192, 0);
    case Act::kLieFrame: {
      wire::MorselHeader other = morsel;
      other.scan++;
      put_frame(out, other, wire::kFrameFlagLast, 1);
      return complete(sqe.cid, 0, 192, 0);
    }
    case Act::kHang:
      while (!cancelled(sqe.cid)) std::this_thread::sleep_for(std::chrono::microseconds(100));
      return complete(sqe.cid, wire::kStatusGuestFault, wire::kGuestFaultTimeout, 0);
    case Act::kWait: return fill_until_it_waits(sqe.cid, morsel);
    case Act::kFrames:
      for (uint64_t i = 0; i < 3; i++) put_frame(out + i * 192, morsel, static_cast<uint16_t>(i == 2 ? 1 : 0), i);
      return complete(sqe.cid, 0, 3 * 192, 0);
    case Act::kMore:
      for (uint64_t i = 0; i < 4; i++) {
        put_frame(out, morsel, static_cast<uint16_t>(i == 3 ? 1 : 0), i);
        if (i == 3) complete(sqe.cid, 0, 192, 0);
        else if (!go_on_after(sqe.cid, 192)) return complete(sqe.cid, wire::kStatusGuestFault, wire::kGuestFaultTimeout, 0);
      }
      return;
    default:
      if ((morsel.flags & wire::kMorselFlagStream) != 0) {
        stream_[0] += sum_of(sqe, morsel);
        CHECK(stream_[1]++ == morsel.morsel);
        put_frame(out, morsel, wire::kFrameFlagLast, stream_[0]);
        return complete(sqe.cid, 0, 192, 0);
      }
      put_frame(out, morsel, wire::kFrameFlagLast, sum_of(sqe, morsel));
      return complete(sqe.cid, 0, 192, 0);
  }
}

bool SlotPeer::go_on_after(uint16_t cid, uint32_t bytes) {
  const uint32_t before = shared_word(ring_.header->continue_word).load();
  complete(cid, 0, bytes, 1);
  const auto may_go_on = [&] {
    const uint32_t word = shared_word(ring_.header->continue_word).load();
    return word != before && (word & 0xffffu) == cid + 1u;
  };
  while (!may_go_on() && !cancelled(cid)) std::this_thread::yield();
  return may_go_on();
}

void SlotPeer::move_state(const wire::Sqe& sqe) {
  wire::StreamHeader header;
  std::memcpy(&header, data_ + sqe.prp1, sizeof header);
  if ((header.flags & wire::kStreamFlagForget) != 0) return complete(sqe.cid, 0, 0, 0);
  const auto act = static_cast<Act>(programs_[header.program]);
  const bool giving = sqe.opc == wire::kOpcodeSlotCheckpoint;
  if ((act == Act::kDieInMove && ++moves_ % 5 == 0) || (act == Act::kDieGiving && giving) || (act == Act::kDieTaking && !giving)) {
    dead_.store(true);
    return;
  }
  std::byte* area = data_ + header.area_offset_bytes;
  if (giving) {
    if (act == Act::kLieState) return complete(sqe.cid, 0, 0xffffffc0u, 0);
    while (act == Act::kEndless)
      if (!go_on_after(sqe.cid, static_cast<uint32_t>(header.area_bytes))) return complete(sqe.cid, wire::kStatusGuestFault, wire::kGuestFaultTimeout, 0);
    std::memcpy(area, stream_, 8);
    if (!go_on_after(sqe.cid, 8)) return complete(sqe.cid, wire::kStatusGuestFault, wire::kGuestFaultTimeout, 0);
    std::memcpy(area, stream_ + 1, 8);
    return complete(sqe.cid, 0, 8, 0);
  }
  if (header.total_bytes == 0) stream_[0] = stream_[1] = 0;
  else if (header.total_bytes != sizeof stream_ || header.area_bytes != sizeof stream_) return complete(sqe.cid, wire::kStatusCheckpointInvalid, 0, 0);
  else std::memcpy(stream_, area, sizeof stream_);
  complete(sqe.cid, stream_[1] == header.batches ? uint32_t{wire::kStatusSuccess} : uint32_t{wire::kStatusCheckpointMismatch}, 0, 0);
}

void SlotPeer::run() {
  while (!stop_.load() && !dead_.load()) {
    if (shared_word(ring_.header->sq_tail).load(std::memory_order_acquire) == head_) {
      shared_word(ring_.header->executor_sleeping).store(1);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      if (shared_word(ring_.header->sq_tail).load() == head_ && !stop_.load()) {
        pollfd fd{bell_.get(), POLLIN, 0};
        ::poll(&fd, 1, -1);
        uint64_t count = 0;
        [[maybe_unused]] auto n = ::read(bell_.get(), &count, sizeof count);
      }
      continue;
    }
    wire::Sqe sqe;
    std::memcpy(&sqe, &ring_.sq[head_ % kSlotRingEntries], sizeof sqe);
    head_++;
    if (sqe.opc == wire::kOpcodeAdminLoadProgram) {
      programs_[sqe.cdw10] = static_cast<char>(data_[sqe.prp1]);
      if (programs_[sqe.cdw10] == 'R') complete(sqe.cid, wire::kStatusGuestFault, wire::kGuestFaultModuleRejected, 0);
      else complete(sqe.cid, 0, 0, 0);
    } else if (sqe.opc == wire::kOpcodeSlotRestore || sqe.opc == wire::kOpcodeSlotCheckpoint) {
      move_state(sqe);
    } else {
      execute(sqe);
    }
  }
}

void PeerSupervisor::start() {
  condemned_.resize(settings_.slots);
  seats_.assign(settings_.slots, settings_.seat);
  for (uint32_t i = 0; i < settings_.slots; i++) {
    peers_.push_back(std::make_unique<SlotPeer>(i + 1, seats_[i], engine_));
    peers_.back()->start();
    engine_.slot_up(peers_.back()->port());
  }
  thread_ = std::thread([this] { run(); });
}

void PeerSupervisor::condemn(uint32_t slot, const char*) {
  const std::lock_guard lock(mutex_);
  condemned_[slot - 1] = true;
  condemned++;
}

void PeerSupervisor::reseat(uint32_t slot, const SlotSeat& seat) {
  const std::lock_guard lock(mutex_);
  seats_[slot - 1] = seat;
}

void PeerSupervisor::retire(uint32_t bank) {
  const std::lock_guard lock(mutex_);
  for (SlotSeat& seat : seats_)
    if (seat.bank == bank) seat = settings_.seat;
  retiring_.push_back(bank);
}

void PeerSupervisor::run() {
  std::vector<std::unique_ptr<SlotPeer>> graveyard;  // ports of the dead are used until the feeder lets go
  while (!stop_.load()) {
    std::vector<uint32_t> unmapped;
    {
      const std::lock_guard lock(mutex_);
      unmapped.swap(retiring_);
    }
    for (uint32_t i = 0; i < settings_.slots; i++) {
      bool lost = peers_[i]->dead();
      bool moved = false;
      {
        const std::lock_guard lock(mutex_);
        lost = lost || condemned_[i];
        condemned_[i] = false;
        moved = seats_[i].bank != peers_[i]->port()->bank || seats_[i].view != peers_[i]->port()->view;
      }
      if (!lost && !moved) continue;
      peers_[i]->halt();
      engine_.slot_down(peers_[i]->port(), lost ? reason.load() : SlotDownReason::kStopped);
      graveyard.push_back(std::move(peers_[i]));
      peers_[i] = std::make_unique<SlotPeer>(i + 1, seats_[i], engine_);
      peers_[i]->start();
      engine_.slot_up(peers_[i]->port());
      replaced += lost;
    }
    std::erase_if(graveyard, [](const auto& peer) { return peer->port().use_count() == 1; });  // their views with them
    for (const uint32_t bank : unmapped) engine_.bank_unmapped(bank);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  for (auto& peer : peers_) peer->halt();
  for (auto& peer : graveyard) peers_.push_back(std::move(peer));
}

void PeerSupervisor::stop() {
  stop_.store(true);
  if (thread_.joinable()) thread_.join();
}

}  // namespace millrace::test
