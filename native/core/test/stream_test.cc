// Streams: the state of a kernel from slot to slot, to the host and back. Peers keep a sum over all morsels before.
#include "test_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr uint32_t kStream = wire::kScanFlagDeviceRuns | wire::kScanFlagStream;
constexpr uint32_t kMorsels = 1000;
constexpr uint32_t kRounds = 5;
constexpr uint64_t kResultsAt = 1 << 20;
constexpr uint64_t kStateAt = 2 << 20;

/** Fetches results all the time, and keeps commands of the stream's state going beside. */
class StreamHost {
 public:
  StreamHost(Host& host, uint32_t id) : host_(host), id_(id) { fetch(); }
  bool ended() const { return ended_; }
  const Host::Result& result() const { return result_; }
  Answer run(uint32_t opc, uint32_t offset, uint32_t total = 0, uint32_t morsel = 0, uint64_t bytes = 4096) {
    wire::Sqe sqe{};
    sqe.opc = static_cast<uint8_t>(opc);
    sqe.nsid = wire::kNsidCompute;
    sqe.cdw10 = id_;
    sqe.cdw11 = offset;
    sqe.cdw12 = total;
    sqe.cdw13 = morsel;
    const uint16_t cid = host_.send(1, sqe, kStateAt, bytes);
    while (!host_.done(cid)) pump();
    return host_.wait(cid);
  }
  void pump() {
    if (ended_ || !host_.done(waiting_)) return;
    const Answer answer = host_.wait(waiting_);
    CHECK(answer.status == 0);
    host_.read_frames(id_, answer, kResultsAt, result_);
    ended_ = (answer.dw1 & 1) != 0;
    if (!ended_) fetch();
  }
  void drain() {
    while (!ended_) pump();
  }

 private:
  void fetch() {
    wire::Sqe sqe{};
    sqe.opc = wire::kOpcodeScanResult;
    sqe.nsid = wire::kNsidCompute;
    sqe.cdw10 = id_;
    waiting_ = host_.send(1, sqe, kResultsAt, 8192);
  }
  Host& host_;
  uint32_t id_;
  uint16_t waiting_ = 0;
  bool ended_ = false;
  Host::Result result_;
};

void check_running_sums(const Host::Result& result, const std::vector<uint64_t>& sums) {
  CHECK(result.faults.empty());
  CHECK(result.values.size() == sums.size());
  uint64_t sum = 0;
  for (const auto& [morsel, values] : result.values) {
    sum += sums[morsel];
    CHECK(values.size() == 1 && values[0] == sum);
  }
}

/** A feeder lets go of what it captured shortly after the host has its answer. */
void check_no_state_is_kept(TestDevice& d) {
  while (Counters::get(d.device->counters().checkpoint_bytes) > 0) std::this_thread::yield();
}

}  // namespace

TEST(stream_goes_on_wherever_its_state_is_taken_while_slots_die) {
  for (const char act : {'s', 'd', 'M'}) {
    TestDevice d(3);
    Host host(attach(d));
    Random random(30 + static_cast<uint64_t>(act));
    const auto sums = host.put_dataset(*d.device, 1, 1, kMorsels, 600, random);
    host.load(0, act);
    uint32_t moves = 0;
    for (uint32_t round = 0; round < kRounds; round++) {
      // Held from its start: peers may be so quick that it is over before its state is asked for.
      const Answer opened = host.open(1, 0, kStream | wire::kScanFlagHeld, 1, kMorsels);
      CHECK(opened.status == 0);
      StreamHost stream(host, opened.dw0);
      while (!stream.ended()) {
        for (uint32_t i = random.below(200); i > 0; i--) stream.pump();
        const Answer taken = stream.run(wire::kOpcodeScanCheckpoint, 0);
        if (taken.status != 0) break;  // it was quicker, or failed
        CHECK(taken.dw0 == 16 && taken.dw1 == 16);
        moves++;
        uint64_t state[2];
        std::memcpy(state, host.data(kStateAt), sizeof state);
        const auto morsel = static_cast<uint32_t>(state[1]);
        switch (random.below(4)) {
          case 0: CHECK(stream.run(wire::kOpcodeScanRestore, 0, 0).status == 0); break;
          case 1: {  // refused, held as before
            CHECK(stream.run(wire::kOpcodeScanRestore, 0, 15, morsel).status == wire::kStatusCheckpointInvalid);
            CHECK(stream.run(wire::kOpcodeScanRestore, 0, 16, (morsel + 1) % kMorsels).status == wire::kStatusCheckpointMismatch);
            CHECK(stream.run(wire::kOpcodeScanCheckpoint, 8).dw0 == 8);
            CHECK(std::memcmp(host.data(kStateAt), state + 1, 8) == 0);
            CHECK(stream.run(wire::kOpcodeScanRestore, 0, 0).status == 0);
            break;
          }
          case 2:  // in pieces
            std::memcpy(host.data(kStateAt), state, sizeof state);
            CHECK(stream.run(wire::kOpcodeScanRestore, 0, 16, morsel, 4).status == 0);
            std::memcpy(host.data(kStateAt), reinterpret_cast<std::byte*>(state) + 4, 12);
            CHECK(stream.run(wire::kOpcodeScanRestore, 4, 16, morsel, 12).status == 0);
            break;
          default:
            std::memcpy(host.data(kStateAt), state, sizeof state);
            CHECK(stream.run(wire::kOpcodeScanRestore, 0, 16, morsel).status == 0);
        }
      }
      stream.drain();
      // A morsel that took two slots with it is the end of its stream; else each was put out once.
      if (stream.result().faults.empty()) check_running_sums(stream.result(), sums);
      for (const auto& [morsel, code] : stream.result().faults) CHECK(act != 's' && code == wire::kGuestFaultSlotKilled);
      CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
    }
    CHECK(moves >= kRounds);
    check_no_state_is_kept(d);
  }
}

TEST(stream_whose_every_move_is_lost_ends_after_the_second) {
  TestDevice d(2);
  Host host(attach(d));
  Random random(43);
  host.put_dataset(*d.device, 1, 1, 20, 600, random);
  for (const char act : {'X', 'Y'}) {
    const uint32_t program = act == 'X' ? 0 : 1;
    host.load(program, act);
    const uint32_t before = PeerSupervisor::replaced;
    // Held, so that it is not over before its state is asked for. One that dies taking it needs nobody to ask.
    const Answer opened = host.open(1, program, act == 'X' ? kStream | wire::kScanFlagHeld : kStream, 1, 20);
    StreamHost stream(host, opened.dw0);
    if (act == 'X') {
      const Answer taken = stream.run(wire::kOpcodeScanCheckpoint, 0);
      CHECK(taken.status == wire::kStatusGuestFault && taken.dw0 == wire::kGuestFaultSlotKilled);
    }
    stream.drain();
    CHECK((stream.result().faults == std::map<uint32_t, uint32_t>{{0, wire::kGuestFaultSlotKilled}}));
    while (PeerSupervisor::replaced < before + 2) std::this_thread::yield();  // counted a moment after the host hears of it
    CHECK(PeerSupervisor::replaced == before + 2);
    CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
    check_no_state_is_kept(d);
  }
}

TEST(stream_states_of_lying_slots_cost_the_slot_or_the_stream) {
  TestDevice d(2);
  Host host(attach(d));
  Random random(41);
  const auto sums = host.put_dataset(*d.device, 1, 1, 50, 600, random);
  for (const char act : {'C', 'E'}) {
    const uint32_t program = act == 'C' ? 0 : 1;
    host.load(program, act);
    const uint32_t before = PeerSupervisor::condemned;
    const Answer opened = host.open(1, program, kStream | wire::kScanFlagHeld, 1, 50);
    StreamHost stream(host, opened.dw0);
    const Answer taken = stream.run(wire::kOpcodeScanCheckpoint, 0);
    stream.drain();
    CHECK(stream.result().faults.size() == 1);
    if (act == 'C') CHECK(taken.status == wire::kStatusGuestFault && taken.dw0 == wire::kGuestFaultAbiViolation && PeerSupervisor::condemned > before);
    else CHECK(taken.status == wire::kStatusCheckpointTooBig && PeerSupervisor::condemned == before);
    CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
    check_no_state_is_kept(d);
  }
}

TEST(stream_commands_end_with_their_scan_queue_or_host) {
  TestDevice d(1);
  Host host(attach(d));
  Random random(42);
  host.put_dataset(*d.device, 1, 1, 4, 600, random);
  host.load(0, 'H');
  const Answer opened = host.open(1, 0, kStream, 1, 4);
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeScanCheckpoint;
  sqe.nsid = wire::kNsidCompute;
  sqe.cdw10 = opened.dw0;
  while (Counters::get(d.device->counters().commands[static_cast<size_t>(QueueKind::kSlot)][static_cast<size_t>(Command::kExecute)]) == 0) std::this_thread::yield();
  const uint16_t asked = host.send(1, sqe, kStateAt, 4096);
  CHECK(host.run(1, sqe, kStateAt, 4096).status == wire::kStatusCommandSequenceError);  // one at a time
  wire::Sqe abort{};
  abort.opc = wire::kOpcodeAdminAbort;
  abort.cdw10 = 1u | uint32_t{asked} << 16;
  CHECK(host.run(0, abort).dw0 == 0);
  CHECK(host.wait(asked).status == wire::kStatusAbortRequested);
  const uint16_t again = host.send(1, sqe, kStateAt, 4096);
  CHECK(host.scan(wire::kOpcodeScanClose, opened.dw0, 0, 0, 0).status == 0);
  CHECK(host.wait(again).status == wire::kStatusAbortRequested);
  // A host that leaves while its stream is held, and one whose state is under way.
  host.load(1, 's');
  const Answer held = host.open(1, 1, kStream | wire::kScanFlagHeld, 1, 4);
  CHECK(host.scan(wire::kOpcodeScanCheckpoint, held.dw0, 0, kStateAt, 4096).status == 0);
  CHECK(Counters::get(d.device->counters().checkpoint_bytes) == 16);
  {
    Host other(attach(d));
    other.load(0, 's');
    const Answer theirs = other.open(1, 0, kStream | wire::kScanFlagHeld, 1, 4);
    sqe.cdw10 = theirs.dw0;
    other.send(1, sqe, kStateAt, 4096);
  }
  CHECK(host.scan(wire::kOpcodeScanClose, held.dw0, 0, 0, 0).status == 0);
  while (d.device->scans().scans_open() > 0) std::this_thread::yield();
  check_no_state_is_kept(d);
}
