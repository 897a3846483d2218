#include "core/model/device_model.h"

#include <algorithm>

#include "core/model/flash.h"
#include "core/model/memory_media.h"
#include "core/model/unit_media.h"

namespace millrace {

namespace {
std::unique_ptr<Media> media_of(const MediaSettings& settings, uint64_t capacity_bytes) {
  if (const auto* flash = std::get_if<FlashSettings>(&settings)) return std::make_unique<FlashMedia>(*flash, capacity_bytes);
  if (const auto* units = std::get_if<UnitSettings>(&settings)) return std::make_unique<UnitMedia>(*units);
  if (const auto* memory = std::get_if<MemorySettings>(&settings)) return std::make_unique<MemoryMedia>(*memory, capacity_bytes);
  return nullptr;
}
}  // namespace

DeviceModel::DeviceModel(const ModelSettings& settings, uint64_t capacity_bytes) : link_(settings.link), media_(media_of(settings.media, capacity_bytes)), power_(settings.power) {}

uint64_t DeviceModel::complete_ns(std::span<const ModelStep> steps, uint64_t at_ns) {
  uint64_t begin_ns = at_ns;
  uint64_t done_ns = at_ns;
  for (const ModelStep& step : steps) {
    if (step.after) begin_ns = done_ns;
    done_ns = std::max(done_ns, complete_ns(step.command, begin_ns));
  }
  return done_ns;
}

uint64_t DeviceModel::complete_ns(const ModelCommand& command, uint64_t at_ns) {
  constexpr uint64_t kSlackNs = 1'000'000;
  if (at_ns > kSlackNs) {
    link_.to_host.forget(at_ns - kSlackNs);
    link_.from_host.forget(at_ns - kSlackNs);
  }
  const bool host = command.port == ModelPort::kHost;
  if (host) power_.link_bytes(command.op == ModelOp::kFlush || command.op == ModelOp::kDeallocate ? 0 : command.bytes);
  else power_.memory_bytes(command.bytes);
  if (command.op == ModelOp::kReceive) return host ? link_.from_host.arrival_ns(command.bytes, at_ns) : at_ns;
  if (!media_ || command.op == ModelOp::kTransfer) {
    if (!host) return at_ns;
    return command.op == ModelOp::kWrite ? link_.from_host.arrival_ns(command.bytes, at_ns) : transfer_ns(command.bytes, at_ns);
  }
  const ModelAnswer answer = media_->run(command, at_ns, link_);
  power_.busy(at_ns, std::max(answer.done_ns, answer.busy_until_ns), command.op != ModelOp::kRead);
  if (command.op == ModelOp::kRead) reads_.add(answer.done_ns - at_ns);
  else if (command.op == ModelOp::kWrite) writes_.add(answer.done_ns - at_ns);
  else if (command.op == ModelOp::kFlush) flushes_.add(answer.done_ns - at_ns);
  return answer.done_ns;
}

uint64_t DeviceModel::transfer_ns(uint64_t bytes, uint64_t ready_ns) { return link_.to_host.arrival_ns(bytes, ready_ns); }

}  // namespace millrace
