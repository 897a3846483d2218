// Features of one controller: what each takes, holds and refuses. NVMe base specification 2.0, 5.27. None is saveable.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "core/controller/subsystem.h"
#include "core/limits.h"

namespace millrace {

struct FeatureAnswer {
  uint32_t status = wire::kStatusSuccess;
  uint32_t dw0 = 0;
  /** Data to the host, at the start of the buffer given. */
  uint32_t bytes = 0;
};

/** SEL of Get Features. */
enum class FeatureSelect : uint8_t { kCurrent = 0, kDefault = 1, kSaved = 2, kCapabilities = 3 };

class Features {
 public:
  explicit Features(const Subsystem& subsystem) : subsystem_(subsystem) { reset(); }
  /** Everything as after a controller reset. */
  void reset();

  /** Bytes of data the feature moves in either direction; 0: none. */
  static uint32_t data_bytes(uint32_t fid);
  /** `data`: a private copy of data_bytes(fid) bytes. */
  FeatureAnswer set(const wire::Sqe& sqe, std::span<const std::byte> data);
  /** `data`: data_bytes(fid) bytes to fill. */
  FeatureAnswer get(const wire::Sqe& sqe, std::span<std::byte> data) const;
  /** One line per FID for the Feature Identifiers Supported and Effects log; 0: not supported. */
  static uint32_t effects(uint32_t fid);

  uint32_t arbitration() const { return current_[wire::kFidArbitration]; }
  bool write_cache() const { return (current_[wire::kFidVolatileWriteCache] & 1u) != 0; }
  uint32_t async_events() const { return current_[wire::kFidAsyncEventConfiguration]; }
  uint32_t keep_alive_ms() const { return current_[wire::kFidKeepAliveTimer]; }
  void set_keep_alive_ms(uint32_t ms) { current_[wire::kFidKeepAliveTimer] = ms; }
  /** Copy descriptor formats the host asked for beside format 0: bit per format. */
  uint32_t copy_formats() const { return copy_formats_ | 1u; }
  /** I/O queue pairs exist: their number is settled. */
  void queues_settled() { queues_settled_ = true; }
  uint32_t io_queues() const { return (current_[wire::kFidNumberOfQueues] & 0xffffu) + 1; }
  /** From Connect, where there is one; Set Features is refused then. */
  void set_host_identifier(std::span<const uint8_t, 16> id);
  const std::array<uint8_t, 16>& host_identifier() const { return host_identifier_; }

  static constexpr uint32_t kNoticeNamespaceChanged = 1u << 8;
  static constexpr uint32_t kNoticeDiscoveryChanged = 1u << 31;

 private:
  const Subsystem& subsystem_;
  std::array<uint32_t, 256> current_{};
  uint32_t under_threshold_ = 0;
  std::array<uint32_t, 8> recovery_{};  // by NSID
  uint32_t copy_formats_ = 0;
  std::array<std::byte, 512> host_behavior_{};
  bool queues_settled_ = false;
  bool host_identifier_set_ = false;
  std::array<uint8_t, 16> host_identifier_{};
  int64_t clock_offset_ms_ = 0;  // host's time minus ours
  bool clock_set_ = false;
};

}  // namespace millrace
