// The two words a device writes into a slot's ring, cancel and continue, in every order in which both sides can move: a stop
// reaches the command it was meant for, begun or not, and no other; and nobody goes on by another command's word.
#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "core/queue/submitter.h"
#include "core/shared_memory.h"
#include "jail/slot/command_stop.h"
#include "jail/slot_contract.h"
#include "test.h"

using namespace millrace;

namespace {

enum Step : uint8_t { kSubmit, kCancel, kReap, kGoOn, kBegin, kLook, kAnnounce, kWait, kEnd };
constexpr uint32_t kSteps = 9;

/** One command on its way. */
struct Flight {
  uint16_t cid = 0;
  bool cancelled = false;
  bool begun = false;
  bool announced = false;   // by the slot: its output area is full
  bool went_on = false;     // the device said so since
  bool ended = false;
  uint32_t unreaped = 0;    // completions the device has not looked at
  bool stalled = false;     // the device looked at an announcement
};

class Walk {
 public:
  Walk() {
    memory_ = SharedMemory::create("slot-stop-test", slot_ring_bytes() + kSlotDataBytes);
    wake_ = make_event_fd();
    done_ = make_event_fd();
    device_ = Submitter(RingView::over(memory_.data(), kSlotRingEntries, kSlotRingEntries), Waker::event_fd(wake_.get()), true);
    slot_ = std::make_unique<SlotRing>(memory_.fd(), wake_.get(), done_.get());
    stop_ = std::make_unique<CommandStop>(*slot_, [this] { terminations_++; });
  }

  /** False: this move cannot be made now. */
  bool step(Step s) {
    Flight* running = flights_.empty() ? nullptr : &*std::find_if(flights_.begin(), flights_.end() - 1, [](const Flight& f) { return !f.ended; });
    switch (s) {
      case kSubmit: {
        if (flights_.size() >= kSlotDepth) return false;
        wire::Sqe sqe{};
        sqe.opc = wire::kOpcodeExecute;
        sqe.cid = next_cid_;
        next_cid_ = static_cast<uint16_t>((next_cid_ + 1) % kSlotRingEntries);
        CHECK(device_.submit(&sqe, 1) == 1);
        flights_.push_back({.cid = sqe.cid});
        return true;
      }
      case kCancel:  // of what the device holds for the running one
        if (flights_.empty() || flights_.front().cancelled) return false;
        device_.cancel(flights_.front().cid);
        flights_.front().cancelled = true;
        return true;
      case kReap: {
        if (flights_.empty() || flights_.front().unreaped == 0) return false;
        wire::Cqe cqe;
        CHECK(device_.reap(&cqe, 1) == 1 && cqe.cid == flights_.front().cid);
        flights_.front().unreaped--;
        if ((cqe.dw1 & 1u) == 0) flights_.pop_front();
        else flights_.front().stalled = true;
        return true;
      }
      case kGoOn:
        if (flights_.empty() || !flights_.front().stalled) return false;
        flights_.front().stalled = false;
        flights_.front().went_on = true;
        device_.go_on(flights_.front().cid);
        return true;
      case kBegin: {
        if (!running || running->begun || running->ended) return false;
        CHECK(slot_->next().cid == running->cid);
        running->begun = true;
        terminations_ = 0;
        stop_->begin(running->cid);
        CHECK(terminations_ == (running->cancelled ? 1u : 0u));
        return true;
      }
      case kLook:
        if (!running || !running->begun || running->ended) return false;
        stop_->look();
        CHECK(terminations_ == (running->cancelled ? 1u : 0u));
        return true;
      case kAnnounce:
        if (!running || !running->begun || running->ended || running->announced) return false;
        slot_->note_continue_word();
        slot_->complete(running->cid, wire::kStatusSuccess, 0, 1);
        running->announced = true;
        running->went_on = false;
        running->unreaped++;
        return true;
      case kWait:  // one look of a slot that waits for its area
        if (!running || !running->announced || running->ended) return false;
        CHECK(slot_->may_continue(running->cid) == running->went_on);
        CHECK((slot_->cancel_word() == running->cid + 1u) == running->cancelled);
        if (running->went_on) running->announced = false;
        return true;
      case kEnd: {
        if (!running || !running->begun || running->ended || (running->announced && !running->went_on && !running->cancelled)) return false;
        const bool stopped = stop_->end();
        CHECK(stopped == (terminations_ == 1) && (!stopped || running->cancelled));
        slot_->complete(running->cid, running->announced && !running->went_on ? uint32_t{wire::kStatusGuestFault} : uint32_t{wire::kStatusSuccess}, 0, 0);
        running->ended = true;
        running->unreaped++;
        return true;
      }
    }
    return false;
  }

  /** To its end, so that the next walk begins with nothing on its way but with the words as they are. */
  void drain() {
    while (!flights_.empty()) {
      bool any = false;
      for (const Step s : {kReap, kGoOn, kWait, kEnd, kBegin}) any |= step(s);
      CHECK(any);
    }
  }

 private:
  SharedMemory memory_;
  UniqueFd wake_;
  UniqueFd done_;
  Submitter device_;
  std::unique_ptr<SlotRing> slot_;
  std::unique_ptr<CommandStop> stop_;
  std::deque<Flight> flights_;
  uint16_t next_cid_ = 0;
  uint32_t terminations_ = 0;
};

}  // namespace

TEST(slot_stop_in_every_order_of_device_and_slot) {
  const uint32_t length = test::rounds(1) > 1 ? 10 : 8;
  Walk walk;
  std::vector<uint8_t> moves(length, 0);
  uint64_t walks = 0;
  for (;;) {
    uint32_t made = 0;
    while (made < length && walk.step(static_cast<Step>(moves[made]))) made++;
    walk.drain();
    walks++;
    // What could not be made is left out with all that would follow.
    size_t i = std::min(made, length - 1);
    std::fill(moves.begin() + static_cast<std::ptrdiff_t>(i) + 1, moves.end(), 0);
    while (++moves[i] == kSteps) {
      moves[i] = 0;
      if (i-- == 0) {
        CHECK(walks > 1000);
        return;
      }
    }
  }
}
