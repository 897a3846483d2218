#include "core/controller/features.h"

#include <time.h>

#include <algorithm>
#include <cstring>

namespace millrace {

namespace {

struct Rule {
  uint32_t fid;
  uint32_t initial;
  /** Bits of cdw11 with a meaning; others make the command fail. */
  uint32_t defined;
  bool changeable;
  bool per_namespace;
  uint32_t data_bytes;
};

constexpr uint32_t kQueues = (kIoQueuesMax - 1) << 16 | (kIoQueuesMax - 1);
/** Bits of Asynchronous Event Configuration for events that can happen here: health warnings, namespace attribute notices. */
constexpr uint32_t kAsyncEventBits = 0xffu | Features::kNoticeNamespaceChanged;

constexpr Rule kRules[] = {
    {wire::kFidArbitration, 0x00000004, 0xffffff07, true, false, 0},  // burst 16, weights 1
    {wire::kFidPowerManagement, 0, 0xff, true, false, 0},
    {wire::kFidTemperatureThreshold, 0xffff, 0x003fffff, true, false, 0},
    {wire::kFidErrorRecovery, 0, 0x0001ffff, true, true, 0},
    {wire::kFidVolatileWriteCache, 1, 1, true, false, 0},
    {wire::kFidNumberOfQueues, kQueues, ~0u, true, false, 0},
    {wire::kFidWriteAtomicity, 0, 1, true, false, 0},
    {wire::kFidAsyncEventConfiguration, kAsyncEventBits, kAsyncEventBits, true, false, 0},
    {wire::kFidTimestamp, 0, 0, true, false, 8},
    {wire::kFidKeepAliveTimer, 0, ~0u, true, false, 0},
    {wire::kFidHostBehavior, 0, 0, true, false, 512},
    {wire::kFidIoCommandSetProfile, 0, 0x1ff, true, false, 0},
    {wire::kFidHostIdentifier, 0, 1, true, false, 16},
    {wire::kFidNamespaceWriteProtection, 0, 7, false, true, 0},
};

const Rule* rule_of(uint32_t fid) {
  for (const Rule& rule : kRules)
    if (rule.fid == fid) return &rule;
  return nullptr;
}

int64_t wall_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
}

uint32_t fid_of(const wire::Sqe& sqe) { return sqe.cdw10 & 0xffu; }

/** NSID: a namespace where the feature is one's, else none or all. */
uint32_t check_nsid(const Rule& rule, const Subsystem& subsystem, uint32_t nsid, bool set) {
  if (rule.per_namespace) {
    const bool all = set && nsid == wire::kNsidAll;
    if (all || (subsystem.find(nsid) && subsystem.find(nsid)->csi == wire::kCsiNvm)) return wire::kStatusSuccess;
    return wire::kStatusInvalidNamespace;
  }
  if (nsid == 0 || nsid == wire::kNsidAll) return wire::kStatusSuccess;
  if (!subsystem.find(nsid)) return wire::kStatusInvalidNamespace;
  return set ? wire::kStatusFeatureNotNamespaceSpecific : wire::kStatusSuccess;
}

}  // namespace

void Features::reset() {
  current_.fill(0);
  for (const Rule& rule : kRules) current_[rule.fid] = rule.initial;
  under_threshold_ = 0;
  recovery_.fill(0);
  copy_formats_ = 0;
  host_behavior_.fill(std::byte{0});
  queues_settled_ = false;
}

uint32_t Features::data_bytes(uint32_t fid) {
  const Rule* rule = rule_of(fid);
  return rule ? rule->data_bytes : 0;
}

uint32_t Features::effects(uint32_t fid) {
  const Rule* rule = rule_of(fid);
  if (!rule) return 0;
  // NVMe base specification 2.0, figure 256: FSUPP, and FSP (scope) in bits 31:20: namespace, or controller.
  return 1u | (rule->per_namespace ? 1u << 20 : 1u << 21);
}

void Features::set_host_identifier(std::span<const uint8_t, 16> id) {
  std::copy(id.begin(), id.end(), host_identifier_.begin());
  host_identifier_set_ = true;
}

FeatureAnswer Features::set(const wire::Sqe& sqe, std::span<const std::byte> data) {
  const uint32_t fid = fid_of(sqe);
  const Rule* rule = rule_of(fid);
  if (!rule || (sqe.cdw14 & 0x7fu) != 0) return {wire::kStatusInvalidField};
  if ((sqe.cdw10 >> 31) != 0) return {wire::kStatusFeatureNotSaveable};
  if (const uint32_t status = check_nsid(*rule, subsystem_, sqe.nsid, true); status != wire::kStatusSuccess) return {status};
  if ((sqe.cdw11 & ~rule->defined) != 0 || sqe.cdw12 != 0 || sqe.cdw13 != 0 || sqe.cdw15 != 0) return {wire::kStatusInvalidField};
  if (!rule->changeable) return {wire::kStatusFeatureNotChangeable};
  const uint32_t value = sqe.cdw11;
  switch (fid) {
    case wire::kFidPowerManagement:
      if ((value & 0x1fu) != 0) return {wire::kStatusInvalidField};  // NPSS 0: one power state. Workload hints are kept, and mean nothing to it
      break;
    case wire::kFidTemperatureThreshold: {
      const uint32_t sensor = value >> 16 & 0xfu;
      const uint32_t side = value >> 20 & 3u;
      if ((sensor != 0 && sensor != 0xf) || side > 1) return {wire::kStatusInvalidField};  // the composite temperature only
      if (side == 1) under_threshold_ = value & 0xffffu;
      else current_[fid] = value & 0xffffu;
      return {};
    }
    case wire::kFidErrorRecovery:
      if ((value >> 16 & 1u) != 0) return {wire::kStatusInvalidField};  // DULBE: deallocated blocks read as zeros, never as an error
      for (uint32_t nsid = 0; nsid < recovery_.size(); nsid++)
        if (sqe.nsid == nsid || sqe.nsid == wire::kNsidAll) recovery_[nsid] = value;
      return {};
    case wire::kFidNumberOfQueues: {
      const uint32_t submission = value & 0xffffu;
      const uint32_t completion = value >> 16;
      if (submission == 0xffff || completion == 0xffff) return {wire::kStatusInvalidField};
      if (queues_settled_) return {wire::kStatusCommandSequenceError};
      const uint32_t pairs = std::min({submission, completion, kIoQueuesMax - 1});
      current_[fid] = pairs << 16 | pairs;
      return {wire::kStatusSuccess, current_[fid]};
    }
    case wire::kFidKeepAliveTimer: {
      if (value > kKeepAliveMsMax) return {wire::kStatusKeepAliveTimeoutInvalid};
      current_[fid] = (value + kKeepAliveUnitMs - 1) / kKeepAliveUnitMs * kKeepAliveUnitMs;
      return {};
    }
    case wire::kFidTimestamp: {
      uint64_t ms = 0;
      std::memcpy(&ms, data.data(), 6);
      if (data[6] != std::byte{0} || data[7] != std::byte{0}) return {wire::kStatusInvalidField};
      clock_offset_ms_ = static_cast<int64_t>(ms) - wall_ms();
      clock_set_ = true;
      return {};
    }
    case wire::kFidHostBehavior: {
      // Byte 0 ACRE, 1 ETDAS, 2 LBAFEE, 4-5 CDFE: what the host understands; only copy formats change what is done here.
      uint16_t formats = 0;
      std::memcpy(&formats, data.data() + 4, sizeof formats);
      const auto known = [&](size_t i) { return i < 6 && i != 3; };
      for (size_t i = 0; i < data.size(); i++)
        if (!known(i) && data[i] != std::byte{0}) return {wire::kStatusInvalidField};
      for (size_t i = 0; i < 3; i++)
        if (data[i] > std::byte{1}) return {wire::kStatusInvalidField};
      if ((formats & ~0x1cu) != 0) return {wire::kStatusInvalidField};
      std::copy(data.begin(), data.end(), host_behavior_.begin());
      copy_formats_ = formats;
      return {};
    }
    case wire::kFidIoCommandSetProfile:
      if (value != 0) return {wire::kStatusIoCommandSetCombinationRejected};  // CNS 1Ch lists one
      break;
    case wire::kFidHostIdentifier: {
      if ((value & 1u) == 0) return {wire::kStatusInvalidField};  // 128 bits only
      if (host_identifier_set_) return {wire::kStatusCommandSequenceError};
      const bool zero = std::all_of(data.begin(), data.end(), [](std::byte b) { return b == std::byte{0}; });
      if (zero) return {wire::kStatusInvalidField};
      std::memcpy(host_identifier_.data(), data.data(), host_identifier_.size());
      host_identifier_set_ = true;
      return {};
    }
    default: break;
  }
  current_[fid] = value;
  return {};
}

FeatureAnswer Features::get(const wire::Sqe& sqe, std::span<std::byte> data) const {
  const uint32_t fid = fid_of(sqe);
  const uint32_t select = sqe.cdw10 >> 8 & 7u;
  const Rule* rule = rule_of(fid);
  if (!rule || select > 3 || (sqe.cdw14 & 0x7fu) != 0) return {wire::kStatusInvalidField};
  if (const uint32_t status = check_nsid(*rule, subsystem_, sqe.nsid, false); status != wire::kStatusSuccess) return {status};
  if (select == static_cast<uint32_t>(FeatureSelect::kCapabilities)) return {wire::kStatusSuccess, (rule->per_namespace ? 2u : 0u) | (rule->changeable ? 4u : 0u)};
  const bool current = select == static_cast<uint32_t>(FeatureSelect::kCurrent);  // nothing is saveable: saved is the default
  if (fid == wire::kFidTemperatureThreshold) {
    if ((sqe.cdw11 & ~0x003f0000u) != 0 || (sqe.cdw11 >> 16 & 0xfu) != 0 || (sqe.cdw11 >> 20 & 3u) > 1) return {wire::kStatusInvalidField};
    const bool under = (sqe.cdw11 >> 20 & 1u) != 0;
    if (!current) return {wire::kStatusSuccess, under ? 0u : rule->initial};
    return {wire::kStatusSuccess, under ? under_threshold_ : current_[fid]};
  }
  if (fid == wire::kFidHostIdentifier) {
    if (sqe.cdw11 != 1) return {wire::kStatusInvalidField};
  } else if (sqe.cdw11 != 0) {
    return {wire::kStatusInvalidField};
  }
  switch (fid) {
    case wire::kFidErrorRecovery: return {wire::kStatusSuccess, current ? recovery_[sqe.nsid] : 0u};
    case wire::kFidNamespaceWriteProtection: return {wire::kStatusSuccess, subsystem_.find(sqe.nsid)->writable ? 0u : 1u};
    case wire::kFidTimestamp: {
      const auto ms = static_cast<uint64_t>(wall_ms() + (current ? clock_offset_ms_ : 0));
      std::memcpy(data.data(), &ms, 6);
      data[6] = current && clock_set_ ? std::byte{2} : std::byte{0};  // Timestamp Origin: set by the host
      data[7] = std::byte{0};
      return {wire::kStatusSuccess, 0, 8};
    }
    case wire::kFidHostBehavior:
      if (current) std::copy(host_behavior_.begin(), host_behavior_.end(), data.begin());
      return {wire::kStatusSuccess, 0, 512};
    case wire::kFidHostIdentifier:
      if (current) std::memcpy(data.data(), host_identifier_.data(), host_identifier_.size());
      return {wire::kStatusSuccess, 0, 16};
    default: return {wire::kStatusSuccess, current ? current_[fid] : rule->initial};
  }
}

}  // namespace millrace
