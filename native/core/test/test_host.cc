#include "test_host.h"

#include <poll.h>

namespace millrace::test {

uint16_t Host::send(uint32_t queue, wire::Sqe sqe, uint64_t at, uint64_t bytes) {
  sqe.cid = next_cid_++;
  sqe.prp1 = at;
  sqe.prp2 = bytes;
  while (link_->ring(queue).submit(&sqe, 1) == 0) pump(true);
  return sqe.cid;
}

void Host::pump(bool block) {
  wire::Cqe cqes[32];
  for (;;) {
    const uint32_t n = link_->reap(cqes, 32);
    CHECK(!link_->broken());
    for (uint32_t i = 0; i < n; i++) CHECK(answers_.emplace(cqes[i].cid, Answer{cqes[i].status >> 1 & 0x7ffu, cqes[i].dw0, cqes[i].dw1, (cqes[i].status >> 15 & 1u) != 0}).second);
    if (n > 0 || !block) return;
    if (!link_->arm()) continue;
    pollfd fd{link_->wake_fd(), POLLIN, 0};
    if (::poll(&fd, 1, 20'000) == 0) failed(__FILE__, __LINE__, "no completion for 20 s");
    CHECK(link_->drain_wake());
  }
}

bool Host::done(uint16_t cid) {
  pump(false);
  return answers_.count(cid) > 0;
}

Answer Host::wait(uint16_t cid) {
  while (answers_.count(cid) == 0) pump(true);
  const Answer answer = answers_[cid];
  answers_.erase(cid);
  return answer;
}

void Host::load(uint32_t index, char act) {
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeAdminLoadProgram;
  sqe.nsid = wire::kNsidCompute;
  sqe.cdw10 = index;
  sqe.cdw11 = 1;
  sqe.cdw14 = 1;
  data()[0] = static_cast<std::byte>(act);
  CHECK(run(0, sqe, 0, 1).status == 0);
  sqe = {};
  sqe.opc = wire::kOpcodeAdminActivateProgram;
  sqe.nsid = wire::kNsidCompute;
  sqe.cdw10 = index | 1u << 16;
  CHECK(run(0, sqe).status == 0);
}

std::vector<uint64_t> Host::put_dataset(Device& device, uint32_t handle, uint32_t columns, uint32_t row_groups, uint32_t chunk_bytes, Random& random) {
  wire::DatasetHeader header{};
  header.handle = handle;
  header.columns = columns;
  header.row_groups = row_groups;
  header.row_group_rows_max = chunk_bytes;
  std::vector<wire::ChunkRecord> records(uint64_t{columns} * row_groups);
  std::vector<uint64_t> sums(row_groups);
  const uint32_t blocks = (chunk_bytes + 4095) / 4096;
  for (uint32_t c = 0; c < columns; c++)
    for (uint32_t g = 0; g < row_groups; g++) {
      wire::ChunkRecord& r = records[c * row_groups + g];
      r.slba = next_block_;
      r.used_bytes = chunk_bytes;
      r.rows = chunk_bytes;
      r.data_bytes = chunk_bytes;
      for (uint32_t i = 0; i < chunk_bytes; i++) {
        data()[i] = static_cast<std::byte>(random.next());
        sums[g] += static_cast<uint64_t>(data()[i]);
      }
      r.crc32c = crc32c(data(), chunk_bytes);
      wire::Sqe sqe{};
      sqe.opc = wire::kOpcodeWrite;
      sqe.nsid = wire::kNsidNvm;
      sqe.cdw10 = next_block_;
      sqe.cdw12 = blocks - 1;
      CHECK(run(1, sqe, 0, uint64_t{blocks} * 4096).status == 0);
      next_block_ += blocks;
    }
  std::vector<std::byte> layout(sizeof header + records.size() * sizeof records[0]);
  std::memcpy(layout.data(), &header, sizeof header);
  std::memcpy(layout.data() + sizeof header, records.data(), records.size() * sizeof records[0]);
  device.register_dataset(layout);
  return sums;
}

Answer Host::open(uint32_t dataset, uint32_t program, uint32_t flags, uint32_t columns, uint32_t row_groups, uint64_t limit) {
  wire::ScanDescriptor d{};
  d.dataset_handle = dataset;
  d.program_index = program;
  d.flags = flags;
  d.column_count = columns;
  d.morsel_count = row_groups;
  d.limit_rows = limit;
  d.tenant = tenant;
  std::memcpy(data(), &d, sizeof d);
  std::vector<uint32_t> list;
  for (uint32_t c = 0; c < columns; c++) list.push_back(c);
  for (uint32_t g = 0; g < row_groups; g++) list.push_back(g);
  std::memcpy(data(sizeof d), list.data(), list.size() * 4);
  wire::Sqe sqe{};
  sqe.opc = wire::kOpcodeScanOpen;
  sqe.nsid = wire::kNsidCompute;
  return run(1, sqe, 0, sizeof d + list.size() * 4);
}

Answer Host::scan(uint32_t opc, uint32_t id, uint32_t cdw11, uint64_t at, uint64_t bytes) {
  wire::Sqe sqe{};
  sqe.opc = static_cast<uint8_t>(opc);
  sqe.nsid = wire::kNsidCompute;
  sqe.cdw10 = id;
  sqe.cdw11 = cdw11;
  return run(1, sqe, at, bytes);
}

std::vector<uint32_t> Host::claim(uint32_t id, uint32_t wanted) {
  const Answer answer = scan(wire::kOpcodeScanClaim, id, wanted, 0, uint64_t{wanted} * 4);
  CHECK(answer.status == 0 && answer.dw0 <= wanted);
  std::vector<uint32_t> morsels(answer.dw0);
  if (!morsels.empty()) std::memcpy(morsels.data(), data(), morsels.size() * 4);
  return morsels;
}

uint32_t Host::words(uint32_t opc, uint32_t id, const std::vector<uint32_t>& values, uint32_t count) {
  std::memcpy(data(), values.data(), values.size() * 4);
  return scan(opc, id, count, 0, values.size() * 4).status;
}

void Host::read_frames(uint32_t id, const Answer& answer, uint64_t at, Result& into) {
  const uint64_t end = at + answer.dw0;
  while (at < end) {
    wire::FrameHeader header;
    std::memcpy(&header, data(at), sizeof header);
    CHECK(header.magic == wire::kFrameHeaderMagic && header.scan == id && !into.ended);
    if (header.kind == wire::kFrameKindEnd) {
      into.ended = true;
      into.device_ran = header.rows;
    } else if (header.kind == wire::kFrameKindFault) {
      into.faults[header.morsel] = header.code;
    } else {
      CHECK(header.kind == wire::kFrameKindResult && header.place >= 1 && header.place <= 64 && header.body_bytes == 128);
      auto& values = into.values[header.morsel];
      CHECK(header.sequence == values.size());
      uint64_t value = 0;
      std::memcpy(&value, data(at + 128), sizeof value);
      values.push_back(value);
    }
    at += sizeof header + header.body_bytes;
  }
  CHECK(at == end);
  if (answer.dw1 & 1) CHECK(into.ended);
}

Host::Result Host::drain(uint32_t id, uint64_t bytes) {
  Result result;
  for (;;) {
    const Answer answer = scan(wire::kOpcodeScanResult, id, 0, 0, bytes);
    CHECK(answer.status == 0);
    read_frames(id, answer, 0, result);
    if (answer.dw1 & 1) return result;
  }
}

}  // namespace millrace::test
