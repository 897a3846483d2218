#include "core/device/model_plan.h"

#include <algorithm>

#include "core/limits.h"

namespace millrace {

namespace {

constexpr uint32_t kForceUnitAccess = 1u << 30;
constexpr uint32_t kDeallocateZeroed = 1u << 25;  // DEAC of Write Zeroes
constexpr uint64_t kDeallocateRangeBytes = 16;
constexpr uint64_t kCopyRangeBytes = 32;

ModelStep host(ModelOp op, MediaRange range) { return {{.op = op, .offset = range.offset, .bytes = range.bytes}}; }
ModelStep device(ModelOp op, MediaRange range) { return {{.op = op, .port = ModelPort::kDevice, .offset = range.offset, .bytes = range.bytes}}; }
ModelStep then(ModelStep step) {
  step.after = true;
  return step;
}
ModelStep durably(ModelStep step, bool fua) {
  step.command.fua = fua;
  return step;
}

/** A key's value begins at a page chosen by its hash (FNV-1a), so that a Store over another unmaps that one's pages. */
uint64_t value_at(const wire::Sqe& sqe, const MediaPlaces& places) {
  const uint32_t words[4] = {sqe.cdw2, sqe.cdw3, sqe.cdw14, sqe.cdw15};
  const uint32_t length = std::min(sqe.cdw11 & 0xffu, kKvKeyBytesMax);
  uint64_t hash = 14695981039346656037ull ^ length;
  for (uint32_t i = 0; i < length; i++) hash = (hash ^ (words[i / 4] >> i % 4 * 8 & 0xffu)) * 1099511628211ull;
  const uint64_t pages = std::max<uint64_t>(1, places.key_bytes / kBlockBytes);
  return places.keys_at + hash % pages * kBlockBytes;
}

}  // namespace

ModelPlan model_plan(Command command, const wire::Sqe& sqe, const MediaPlaces& places, bool write_cache) {
  const uint64_t start = uint64_t{sqe.cdw11} << 32 | sqe.cdw10;
  const MediaRange blocks{places.namespace_at + start * kBlockBytes, (uint64_t{sqe.cdw12 & 0xffffu} + 1) * kBlockBytes};
  const MediaRange bytes{start, sqe.cdw12};  // of namespace 6
  const bool pmem = sqe.nsid == wire::kNsidPmem;
  const bool fua = (sqe.cdw12 & kForceUnitAccess) != 0;
  const bool durable = fua || !write_cache;
  switch (command) {
    case Command::kRead:
      // FUA on a read: what is still cached goes to the media first.
      if (fua) return {host(ModelOp::kFlush, {}), then(host(ModelOp::kRead, blocks))};
      return {host(ModelOp::kRead, blocks)};
    case Command::kWrite: return {durably(host(ModelOp::kWrite, blocks), durable)};
    case Command::kFlush:
    case Command::kKvFlush: return {host(ModelOp::kFlush, {})};
    case Command::kCompare: return {host(ModelOp::kReceive, blocks), device(ModelOp::kRead, blocks)};
    // No data crosses the link.
    case Command::kVerify: return {device(ModelOp::kRead, blocks)};
    case Command::kWriteZeroes:
      if ((sqe.cdw12 & kDeallocateZeroed) == 0) return {durably(device(ModelOp::kWrite, blocks), durable)};
      if (durable) return {device(ModelOp::kDeallocate, blocks), then(host(ModelOp::kFlush, {}))};
      return {device(ModelOp::kDeallocate, blocks)};
    case Command::kMemoryRead: return pmem ? ModelPlan{host(ModelOp::kRead, bytes)} : ModelPlan{host(ModelOp::kTransfer, bytes)};
    case Command::kMemoryWrite: return pmem ? ModelPlan{durably(host(ModelOp::kWrite, bytes), durable)} : ModelPlan{host(ModelOp::kReceive, bytes)};
    case Command::kMemoryFill: return pmem ? ModelPlan{durably(device(ModelOp::kWrite, bytes), durable)} : ModelPlan{};
    case Command::kLoadProgram: return {host(ModelOp::kReceive, {0, sqe.cdw14})};
    case Command::kKvStore: return {durably(host(ModelOp::kWrite, {value_at(sqe, places), std::max(1u, sqe.cdw10)}), !write_cache)};
    case Command::kKvDelete:
      if (!write_cache) return {device(ModelOp::kDeallocate, {value_at(sqe, places), 0}), then(host(ModelOp::kFlush, {}))};
      return {device(ModelOp::kDeallocate, {value_at(sqe, places), 0})};
    default: return {};
  }
}

ModelPlan plan_copy(CopySources sources, MediaRange to, bool durable) {
  ModelPlan plan = plan_memory_copy(sources);
  plan.push_back(then(durably(device(ModelOp::kWrite, to), durable)));
  return plan;
}

ModelPlan plan_deallocate(std::span<const MediaRange> ranges, bool durable) {
  ModelPlan plan{host(ModelOp::kReceive, {0, ranges.size() * kDeallocateRangeBytes})};
  for (const MediaRange& range : ranges) plan.push_back(device(ModelOp::kDeallocate, range));
  if (plan.size() > 1) plan[1].after = true;
  if (durable) plan.push_back(then(host(ModelOp::kFlush, {})));
  return plan;
}

ModelPlan plan_memory_copy(CopySources sources) {
  ModelPlan plan{host(ModelOp::kReceive, {0, sources.listed * kCopyRangeBytes})};
  for (const MediaRange& source : sources.media) plan.push_back(device(ModelOp::kRead, source));
  if (plan.size() > 1) plan[1].after = true;
  return plan;
}

ModelPlan plan_execute_output(MediaRange to, bool durable) {
  if (to.bytes == 0) return {};
  return {durably(device(ModelOp::kWrite, to), durable)};
}

ModelPlan plan_retrieve(const wire::Sqe& sqe, const MediaPlaces& places, uint64_t bytes) { return {host(ModelOp::kRead, {value_at(sqe, places), std::max<uint64_t>(1, bytes)})}; }

}  // namespace millrace
