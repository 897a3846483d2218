// Execute Program by a host: its ranges in, its last range out, and everything that may come in between.
#include <thread>

#include "test_host.h"

using namespace millrace;
using namespace millrace::test;

namespace {

constexpr uint64_t kRangesAt = 1 << 20;

wire::Sqe memory(uint8_t opc, uint64_t start, uint32_t length) {
  wire::Sqe sqe{};
  sqe.opc = opc;
  sqe.nsid = wire::kNsidSlm;
  sqe.cdw10 = static_cast<uint32_t>(start);
  sqe.cdw11 = static_cast<uint32_t>(start >> 32);
  sqe.cdw12 = length;
  return sqe;
}

/** Random bytes into the host's SLM; their sum. */
uint64_t fill(Host& host, uint64_t start, uint32_t length, Random& random) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < length; i++) {
    host.data()[i] = static_cast<std::byte>(random.next());
    sum += static_cast<uint64_t>(host.data()[i]);
  }
  CHECK(host.run(1, memory(wire::kOpcodeMemoryWrite, start, length), 0, length).status == 0);
  return sum;
}

uint64_t word(Host& host, uint64_t start) {
  CHECK(host.run(1, memory(wire::kOpcodeMemoryRead, start, 8), 0, 8).status == 0);
  uint64_t value = 0;
  std::memcpy(&value, host.data(), sizeof value);
  return value;
}

wire::Sqe execute(uint32_t program, uint32_t set, uint32_t ranges, uint32_t rows = 0) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeExecute;
  sqe.nsid = wire::kNsidCompute;
  sqe.cdw2 = program | set << 16;
  sqe.cdw3 = ranges;
  sqe.cdw10 = rows;
  return sqe;
}

uint64_t put_ranges(Host& host, const std::vector<wire::MemoryRange>& ranges) {
  std::memcpy(host.data(kRangesAt), ranges.data(), ranges.size() * sizeof(wire::MemoryRange));
  return ranges.size() * sizeof(wire::MemoryRange);
}

uint16_t send_inline(Host& host, uint32_t program, const std::vector<wire::MemoryRange>& ranges, uint32_t rows = 0) {
  const uint64_t bytes = put_ranges(host, ranges);
  return host.send(1, execute(program, 0, static_cast<uint32_t>(ranges.size()), rows), kRangesAt, bytes);
}

uint32_t make_set(Host& host, const std::vector<wire::MemoryRange>& ranges) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeAdminMemoryRangeSet;
  sqe.nsid = wire::kNsidCompute;
  sqe.cdw11 = static_cast<uint32_t>(ranges.size());
  const Answer made = host.run(0, sqe, kRangesAt, put_ranges(host, ranges));
  CHECK(made.status == 0);
  return made.dw0;
}

uint32_t remove_set(Host& host, uint32_t id) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeAdminMemoryRangeSet;
  sqe.nsid = wire::kNsidCompute;
  sqe.cdw10 = id << 16 | 1;
  return host.run(0, sqe).status;
}

uint32_t deactivate(Host& host, uint32_t index) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeAdminActivateProgram;
  sqe.nsid = wire::kNsidCompute;
  sqe.cdw10 = index;
  return host.run(0, sqe).status;
}

Answer abort_command(Host& host, uint16_t cid) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeAdminAbort;
  sqe.cdw10 = 1u | uint32_t{cid} << 16;
  return host.run(0, sqe);
}

wire::MemoryRange range(uint64_t start, uint32_t length, uint32_t nsid = wire::kNsidSlm) {
  wire::MemoryRange r{};
  r.nsid = nsid;
  r.length = length;
  r.start = start;
  return r;
}

}  // namespace

TEST(execute_computes_on_its_ranges_and_writes_the_last) {
  TestDevice d;
  Host host(attach(d));
  Random random(40);
  host.load(0, 's');
  for (int round = 0; round < 20; round++) {
    const uint32_t length = 4 * (1 + random.below(40'000));
    const uint64_t from = 4 * random.below(1 << 20);
    const uint64_t sum = fill(host, from, length, random);
    const uint64_t out = 16 << 20;
    if (round % 2) {
      const uint32_t set = make_set(host, {range(from, length), range(out, 64)});
      const Answer answer = host.run(1, execute(0, set, 0));
      CHECK(answer.status == 0 && answer.dw0 == 8);
      CHECK(remove_set(host, set) == 0);
    } else {
      const Answer answer = host.wait(send_inline(host, 0, {range(from, length), range(out, 64)}));
      CHECK(answer.status == 0 && answer.dw0 == 8);
    }
    CHECK(word(host, out) == sum);
    CHECK(word(host, out + 8) == 0);  // what it did not put out stays
  }
  CHECK(d.device->scans().scans_open() == 0);
  CHECK(deactivate(host, 0) == 0);
  // Not a byte of a host stays in the windows slots see.
  const Slm& slm = d.device->slm();
  for (uint64_t at = 0; at < slm.bytes(); at++) CHECK(slm.at(at)[0] == std::byte{0});
}

TEST(execute_takes_several_columns_and_frames) {
  TestDevice d;
  Host host(attach(d));
  Random random(41);
  host.load(0, 's');
  host.load(1, 'f');
  host.load(2, 'm');
  const uint64_t sum = fill(host, 0, 800, random) + fill(host, 4096, 400, random) + fill(host, 8192, 1600, random);
  CHECK(host.wait(send_inline(host, 0, {range(0, 800), range(4096, 400), range(8192, 1600), range(1 << 20, 8)}, 200)).status == 0);
  CHECK(word(host, 1 << 20) == sum);
  for (const uint32_t program : {1u, 2u}) {
    const Answer answer = host.wait(send_inline(host, program, {range(0, 800), range(2 << 20, 64)}));
    CHECK(answer.status == 0 && answer.dw0 == (program == 1 ? 24 : 32));
    for (uint64_t i = 0; i < answer.dw0 / 8; i++) CHECK(word(host, (2 << 20) + 8 * i) == i);  // one column over all its frames
    // One byte too small for the second frame: nothing is written.
    const Answer small = host.wait(send_inline(host, program, {range(0, 800), range(3 << 20, 12)}));
    CHECK(small.status == wire::kStatusGuestFault && small.dw0 == wire::kGuestFaultOutputLimit);
    CHECK(word(host, 3 << 20) == 0);
  }
  const Answer none = host.wait(send_inline(host, 0, {range(4 << 20, 8)}, 5));  // no input: nothing but the number of rows
  CHECK(none.status == 0 && none.dw0 == 8);
}

TEST(execute_refuses_what_it_cannot_run) {
  TestDevice d;
  Host host(attach(d));
  host.load(0, 's');
  const auto status = [&](const std::vector<wire::MemoryRange>& ranges, uint32_t rows = 0) { return host.wait(send_inline(host, 0, ranges, rows)).status; };
  const auto out = range(1 << 20, 64);
  CHECK(status({range(0, 64, wire::kNsidNvm), out}) == wire::kStatusInvalidMemoryNamespace);
  CHECK(status({range(0, 64), range(1 << 20, 64, wire::kNsidCompute)}) == wire::kStatusInvalidMemoryNamespace);
  CHECK(status({range(kHostSlmBytes - 4, 8), out}) == wire::kStatusInvalidMemoryRangeSet);
  CHECK(status({range(~0ull - 3, 8), out}) == wire::kStatusInvalidMemoryRangeSet);
  CHECK(status({range(0, 0), out}) == wire::kStatusInvalidMemoryRangeSet);
  CHECK(status({range(2, 64), out}) == wire::kStatusInvalidMemoryRangeSet);
  CHECK(status({range(0, 63), out}) == wire::kStatusInvalidMemoryRangeSet);
  CHECK(status({range(0, 64), range(60, 64)}) == wire::kStatusOverlappingMemoryRanges);
  CHECK(status({range(0, 64), range(128, 60), out}) == wire::kStatusInvalidField);  // not the same rows
  CHECK(status({range(0, 64), out}, 3) == wire::kStatusInvalidField);
  CHECK(status({range(0, 64), out}, 2) == wire::kStatusInvalidField);  // 32 bytes a value
  CHECK(status({out}, 0xffffffff) == wire::kStatusInvalidField);
  CHECK(status(std::vector<wire::MemoryRange>(33, out)) == wire::kStatusMaximumMemoryRangesExceeded);
  CHECK(host.run(1, execute(0, 0, 0)).status == wire::kStatusInvalidMemoryRangeSet);
  CHECK(host.run(1, execute(0, 7, 0)).status == wire::kStatusInvalidMemoryRangeSetIdentifier);
  CHECK(host.run(1, execute(0, 0, 2), kRangesAt, 63).status == wire::kStatusDataSglLengthInvalid);
  CHECK(host.run(1, execute(5, 0, 1), kRangesAt, 32).status == wire::kStatusInvalidProgramIndex);
  CHECK(host.run(1, execute(64, 0, 1), kRangesAt, 32).status == wire::kStatusInvalidProgramIndex);
  CHECK(deactivate(host, 0) == 0);
  CHECK(host.run(1, execute(0, 0, 1), kRangesAt, 32).status == wire::kStatusProgramNotActivated);
  host.load(0, 's');
  // Wider than the window of a slot, with nothing to wait for.
  CHECK(status({range(0, 32u << 20), range(40 << 20, 64)}) == wire::kStatusInsufficientResources);
  CHECK(d.device->scans().scans_open() == 0);
  TestDevice none(0);
  Host without(attach(none));
  without.load(0, 's');
  CHECK(without.wait(send_inline(without, 0, {out})).status == wire::kStatusInsufficientResources);
}

TEST(execute_faults_are_the_commands_own) {
  TestDevice d;
  Host host(attach(d));
  Random random(42);
  const uint64_t sum = fill(host, 0, 400, random);
  host.load(1, 's');
  const struct {
    char act;
    uint32_t fault;
  } cases[] = {{'F', wire::kGuestFaultTrapDivide},  {'L', wire::kGuestFaultAbiViolation}, {'O', wire::kGuestFaultAbiViolation},  {'B', wire::kGuestFaultAbiViolation},
               {'T', wire::kGuestFaultAbiViolation}, {'D', wire::kGuestFaultSlotKilled},   {'R', wire::kGuestFaultModuleRejected}};
  for (const auto& c : cases) {
    host.load(2, c.act);
    const uint16_t bad = send_inline(host, 2, {range(0, 400), range(1 << 20, 64)});
    const Answer faulted = host.wait(bad);
    CHECK(faulted.status == wire::kStatusGuestFault && faulted.dw0 == c.fault);
    CHECK(word(host, 1 << 20) == 0);
    CHECK(host.wait(send_inline(host, 1, {range(0, 400), range(2 << 20, 64)})).status == 0);
    CHECK(word(host, 2 << 20) == sum);
    CHECK(deactivate(host, 2) == 0);
  }
  CHECK(d.device->scans().scans_open() == 0);
  const auto [records, lost] = d.device->audit().drain();
  CHECK(lost == 0 && records.size() == 14);
  for (size_t i = 0; i < records.size(); i++) CHECK(records[i].dataset == 0 && records[i].kernel && records[i].fault == (i % 2 ? 0 : cases[i / 2].fault));
}

TEST(execute_survives_slots_that_die_under_it) {
  TestDevice d(3);
  Host host(attach(d));
  Random random(43);
  const uint64_t sum = fill(host, 0, 4000, random);
  host.load(0, 'd');
  uint32_t done = 0;
  for (int round = 0; round < 40; round++) {
    const uint64_t out = (1 << 20) + 64 * static_cast<uint64_t>(round);
    const Answer answer = host.wait(send_inline(host, 0, {range(0, 4000), range(out, 8)}));
    if (answer.status == 0) {
      CHECK(word(host, out) == sum);
      done++;
    } else {
      CHECK(answer.status == wire::kStatusGuestFault && answer.dw0 == wire::kGuestFaultSlotKilled && word(host, out) == 0);
    }
  }
  CHECK(done > 30);
  CHECK(d.device->scans().scans_open() == 0);
}

TEST(execute_keeps_set_and_program_in_use_until_it_ends_or_is_aborted) {
  TestDevice d(1);
  Host host(attach(d));
  host.load(0, 'H');
  host.load(1, 's');
  const uint32_t set = make_set(host, {range(0, 64), range(4096, 64)});
  const uint16_t stuck = host.send(1, execute(0, set, 0));
  const uint16_t behind = host.send(1, execute(0, set, 0));
  CHECK(host.run(1, memory(wire::kOpcodeMemoryRead, 0, 8), 0, 8).status == 0);  // the queue is served in order: both began
  CHECK(remove_set(host, set) == wire::kStatusMemoryRangeSetInUse);
  CHECK(deactivate(host, 0) == wire::kStatusProgramInUse);
  for (const uint16_t cid : {behind, stuck}) {
    CHECK((abort_command(host, cid).dw0 & 1u) == 0);
    CHECK(host.wait(cid).status == wire::kStatusAbortRequested);
    CHECK((abort_command(host, cid).dw0 & 1u) == 1);
  }
  CHECK(remove_set(host, set) == 0);
  CHECK(deactivate(host, 0) == 0);
  CHECK(host.wait(send_inline(host, 1, {range(0, 64), range(8192, 64)})).status == 0);  // the only slot is free again
  CHECK(d.device->scans().scans_open() == 0);
}

TEST(execute_is_no_scan_and_has_a_bound_per_host) {
  TestDevice d(1);
  Host host(attach(d));
  Host other(attach(d));
  host.load(0, 'H');
  other.load(0, 's');
  std::vector<uint16_t> running;
  const uint64_t bytes = put_ranges(host, {range(0, 64), range(4096, 64)});
  for (uint32_t i = 0; i < kExecutionsMax; i++) running.push_back(host.send(1, execute(0, 0, 2), kRangesAt, bytes));
  CHECK(host.run(1, execute(0, 0, 2), kRangesAt, bytes).status == wire::kStatusInsufficientProgramResources);
  for (uint32_t id = 0; id < 2 * kExecutionsMax; id++)
    for (const uint32_t opc : {wire::kOpcodeScanResult, wire::kOpcodeScanClaim, wire::kOpcodeScanClose}) CHECK(host.scan(opc, id, opc == wire::kOpcodeScanClaim ? 1 : 0, 0, 4096).status == wire::kStatusNoSuchScan);
  const uint16_t waits = send_inline(other, 0, {range(0, 64), range(4096, 64)});
  for (const uint16_t cid : running) {
    CHECK((abort_command(host, cid).dw0 & 1u) == 0);
    CHECK(host.wait(cid).status == wire::kStatusAbortRequested);
  }
  CHECK(other.wait(waits).status == 0);
}

TEST(execute_ends_with_its_host) {
  TestDevice d(1);
  Host stays(attach(d));
  stays.load(0, 's');
  for (int round = 0; round < 20; round++) {
    Host goes(attach(d));
    goes.load(0, round % 2 ? 'H' : 's');
    const uint64_t bytes = put_ranges(goes, {range(0, 4096), range(8192, 64)});
    for (int i = 0; i < 3; i++) goes.send(1, execute(0, 0, 2), kRangesAt, bytes);
  }
  CHECK(stays.wait(send_inline(stays, 0, {range(0, 64), range(4096, 64)})).status == 0);
}

TEST(execute_and_abort_race_to_one_answer) {
  TestDevice d(2);
  Host host(attach(d));
  Random random(44);
  const uint64_t sum = fill(host, 0, 400, random);
  host.load(0, 's');
  for (int round = 0; round < 400; round++) {
    const uint64_t out = (1 << 20) + 64 * static_cast<uint64_t>(round);
    const uint16_t cid = send_inline(host, 0, {range(0, 400), range(out, 8)});
    for (uint32_t spin = random.below(2000); spin > 0; spin--) std::atomic_signal_fence(std::memory_order_seq_cst);
    const bool taken = (abort_command(host, cid).dw0 & 1u) == 0;
    const Answer answer = host.wait(cid);
    CHECK(answer.status == (taken ? wire::kStatusAbortRequested : wire::kStatusSuccess));
    CHECK(word(host, out) == (taken ? 0 : sum));
  }
  CHECK(d.device->scans().scans_open() == 0);
  CHECK(deactivate(host, 0) == 0);
}

TEST(execute_ends_with_its_queue) {
  TestDevice d(1);
  Host host(attach(d));
  host.load(0, 'H');
  host.load(1, 's');
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeAdminCreateIoCq;
  sqe.cdw10 = 2 | 15 << 16;
  sqe.cdw11 = 1;
  CHECK(host.run(0, sqe, 2 << 20, 4096).status == 0);
  sqe.opc = wire::kOpcodeAdminCreateIoSq;
  sqe.cdw11 = 1 | 2 << 16;
  CHECK(host.run(0, sqe, 3 << 20, 4096 + 16 * sizeof(wire::Sqe)).status == 0);
  host.link().add_queue(2, 3 << 20, 2 << 20, 16);
  const uint64_t bytes = put_ranges(host, {range(0, 64), range(4096, 64)});
  const uint16_t stuck = host.send(2, execute(0, 0, 2), kRangesAt, bytes);
  const uint16_t other = host.send(1, execute(0, 0, 2), kRangesAt, bytes);
  for (const uint32_t queue : {1u, 2u}) CHECK(host.run(queue, memory(wire::kOpcodeMemoryRead, 0, 8), 0, 8).status == 0);  // both began
  sqe = {};
  sqe.opc = wire::kOpcodeAdminDeleteIoSq;
  sqe.cdw10 = 2;
  CHECK(host.run(0, sqe).status == 0);  // when everything on it was answered
  CHECK(host.wait(stuck).status == wire::kStatusAbortedQueueDeletion);
  CHECK((abort_command(host, other).dw0 & 1u) == 0);  // that of the other queue runs on
  CHECK(host.wait(other).status == wire::kStatusAbortRequested);
  CHECK(host.wait(send_inline(host, 1, {range(0, 64), range(4096, 64)})).status == 0);
}
