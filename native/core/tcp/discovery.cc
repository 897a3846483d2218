#include "core/tcp/discovery.h"

#include <algorithm>
#include <cstddef>

namespace millrace::tcp {

namespace {

constexpr uint32_t kGetLogPage = 0x02, kIdentify = 0x06, kSetFeatures = 0x09, kGetFeatures = 0x0a, kAsyncEventRequest = 0x0c, kKeepAlive = 0x18;
constexpr uint32_t kFeatureAsyncEvents = 0x0b, kFeatureKeepAlive = 0x0f;
constexpr uint32_t kLogDiscovery = 0x70;
constexpr uint32_t kStatusInvalidLogPage = 0x109, kStatusAsyncEventLimit = 0x105;
constexpr uint32_t kAsyncEventsMax = 4;
constexpr size_t kIdentifyBytes = 4096;

void put_text(uint8_t* at, size_t width, const std::string& text, char fill) {
  std::fill_n(at, width, static_cast<uint8_t>(fill));
  std::copy_n(text.begin(), std::min(width, text.size()), at);
}
template <typename T>
void put(std::vector<std::byte>& page, size_t at, T value) { std::memcpy(page.data() + at, &value, sizeof value); }

}  // namespace

/** NVMe base specification 2.0, 5.17.2.1: the fields a discovery controller has. */
std::vector<std::byte> DiscoveryController::identify() const {
  std::vector<std::byte> page(kIdentifyBytes);
  put_text(reinterpret_cast<uint8_t*>(page.data()) + 4, 20, "discovery", ' ');
  put_text(reinterpret_cast<uint8_t*>(page.data()) + 24, 40, "Millrace", ' ');
  put_text(reinterpret_cast<uint8_t*>(page.data()) + 64, 8, "1", ' ');
  put<uint8_t>(page, 77, 5);                        // MDTS: 128 KiB
  put<uint16_t>(page, 78, id_);                     // CNTLID
  put<uint32_t>(page, 80, 0x00020000);              // VER
  put<uint8_t>(page, 111, 2);                       // CNTRLTYPE: discovery
  put<uint8_t>(page, 259, kAsyncEventsMax - 1);     // AERL
  put<uint8_t>(page, 261, 1u << 2);                 // LPA: extended data for Get Log Page
  put<uint16_t>(page, 320, 10);                     // KAS: seconds
  put<uint16_t>(page, 514, kTcpAdminEntriesMax);    // MAXCMD
  put<uint32_t>(page, 536, 1u | 1u << 20);          // SGLS: as the transport takes them
  put_text(reinterpret_cast<uint8_t*>(page.data()) + 768, 256, kDiscoveryNqn, '\0');
  put<uint32_t>(page, 1792, (64 + kTcpInCapsuleBytes) / 16);  // IOCCSZ
  put<uint32_t>(page, 1796, 1);                               // IORCSZ
  put<uint8_t>(page, 1803, 1);                                // MSDBD
  return page;
}

/** NVMe base specification 2.0, 5.16.1.23. */
std::vector<std::byte> DiscoveryController::log() const {
  wire::DiscoveryHeader header{};
  header.generation = 1;  // what is advertised never changes while the daemon lives
  header.records = 1;
  wire::DiscoveryEntry entry{};
  entry.trtype = 3;
  entry.adrfam = advertised_.ipv6 ? 2 : 1;
  entry.subtype = 2;
  entry.treq = 2;  // no secure channel
  entry.portid = 1;
  entry.cntlid = kAnyController;
  entry.asqsz = kTcpAdminEntriesMax;
  put_text(entry.trsvcid, sizeof entry.trsvcid, std::to_string(advertised_.port), '\0');
  put_text(entry.subnqn, sizeof entry.subnqn, advertised_.subsystem, '\0');
  put_text(entry.traddr, sizeof entry.traddr, advertised_.address, '\0');
  std::vector<std::byte> page(sizeof header + sizeof entry);
  std::memcpy(page.data(), &header, sizeof header);
  std::memcpy(page.data() + sizeof header, &entry, sizeof entry);
  return page;
}

DiscoveryController::Result DiscoveryController::execute(const wire::Sqe& sqe) {
  switch (sqe.opc) {
    case kIdentify: {
      constexpr uint32_t kCnsController = 1;
      if ((sqe.cdw10 & 0xffu) != kCnsController) return Result::of(wire::kStatusInvalidField);
      return Result::with(identify());
    }
    case kGetLogPage: {
      if ((sqe.cdw10 & 0xffu) != kLogDiscovery) return Result::of(kStatusInvalidLogPage);
      const uint64_t bytes = (uint64_t{sqe.cdw11 & 0xffffu} << 16 | sqe.cdw10 >> 16) * 4 + 4;
      const uint64_t offset = uint64_t{sqe.cdw13} << 32 | sqe.cdw12;
      std::vector<std::byte> page = log();
      if (offset % 4 != 0 || offset > page.size() || bytes > sqe.prp2) return Result::of(wire::kStatusInvalidField);
      page.erase(page.begin(), page.begin() + static_cast<ptrdiff_t>(offset));
      page.resize(bytes);  // behind the log there are zeros
      return Result::with(std::move(page));
    }
    case kSetFeatures:
    case kGetFeatures: {
      uint32_t* value = (sqe.cdw10 & 0xffu) == kFeatureAsyncEvents ? &events_ : (sqe.cdw10 & 0xffu) == kFeatureKeepAlive ? &keep_alive_ms_ : nullptr;
      if (!value) return Result::of(wire::kStatusInvalidField);
      if (sqe.opc == kSetFeatures) *value = sqe.cdw11;
      return Result::of(0, sqe.opc == kGetFeatures ? *value : 0);
    }
    case kAsyncEventRequest:
      if (waiting_ == kAsyncEventsMax) return Result::of(kStatusAsyncEventLimit);
      waiting_++;
      return {0, 0, {}, true};
    case kKeepAlive: return {};
    default: return Result::of(wire::kStatusInvalidOpcode);
  }
}

}  // namespace millrace::tcp
