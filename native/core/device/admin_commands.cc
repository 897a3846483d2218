#include <algorithm>
#include <bit>
#include <cstring>

#include "core/device/commands.h"

namespace millrace {

namespace {

constexpr uint32_t kCnsNamespace = 0x00;
constexpr uint32_t kCnsController = 0x01;
constexpr size_t kIdentifyBytes = 4096;

template <typename T>
void put(std::byte* page, size_t at, T value) { std::memcpy(page + at, &value, sizeof value); }
void put_text(std::byte* page, size_t at, size_t width, const char* text) {
  std::memset(page + at, ' ', width);
  std::memcpy(page + at, text, std::min(width, std::strlen(text)));
}

}  // namespace

/** NVMe base 2.0, 5.17: the fields a host needs to size its transfers; the rest is zero. */
CommandResult identify(const Association& association, const BackingFile& backing, const wire::Sqe& sqe) {
  const auto data = association.data_of(sqe);
  if (!data || data->size() < kIdentifyBytes) return {wire::kStatusInvalidField};
  std::byte page[kIdentifyBytes] = {};
  switch (sqe.cdw10 & 0xffu) {
    case kCnsController:
      put_text(page, 4, 20, "1");          // SN
      put_text(page, 24, 40, "Millrace");  // MN
      put_text(page, 64, 8, "0.1.0");      // FR
      put<uint8_t>(page, 77, static_cast<uint8_t>(std::bit_width(kTransferBytesMax / kPageBytes) - 1));  // MDTS
      put<uint32_t>(page, 80, 0x00020000);                                                               // VER 2.0
      put<uint8_t>(page, 512, 0x66);                                                                     // SQES
      put<uint8_t>(page, 513, 0x44);                                                                     // CQES
      put<uint32_t>(page, 516, wire::kNsidCompute);                                                      // NN
      break;
    case kCnsNamespace:
      if (sqe.nsid != wire::kNsidNvm) return {wire::kStatusInvalidNamespace};
      put<uint64_t>(page, 0, backing.blocks());   // NSZE
      put<uint64_t>(page, 8, backing.blocks());   // NCAP
      put<uint64_t>(page, 16, backing.blocks());  // NUSE
      put<uint32_t>(page, 128, 12u << 16);        // LBAF0: LBADS 12
      break;
    default: return {wire::kStatusInvalidField};
  }
  std::memcpy(data->data(), page, sizeof page);
  return {};
}

CommandResult load_program(Association& association, const wire::Sqe& sqe) {
  const uint32_t index = sqe.cdw10 & 0xffffu;
  const bool unload = (sqe.cdw10 >> 24 & 1u) != 0;
  if (unload) return {association.programs.unload(index)};
  const auto data = association.data_of(sqe);
  if (!data || sqe.cdw14 > data->size()) return {wire::kStatusInvalidField};
  return {association.programs.load(index, sqe.cdw11, sqe.cdw15, data->data(), sqe.cdw14)};
}

CommandResult activate_program(Association& association, const wire::Sqe& sqe) {
  const uint32_t select = sqe.cdw10 >> 16 & 0xfu;
  if (select > 1) return {wire::kStatusInvalidField};
  return {association.programs.set_active(sqe.cdw10 & 0xffffu, select == 1)};
}

CommandResult dataset_layout(const Association& association, const DatasetTable& datasets, const wire::Sqe& sqe) {
  constexpr uint32_t kDictionaries = 0xffffffff;
  const auto dataset = datasets.find(sqe.cdw10);
  if (!dataset) return {wire::kStatusNoSuchDataset};
  if (sqe.cdw11 != kDictionaries && sqe.cdw11 >= dataset->header().columns) return {wire::kStatusInvalidField};
  const auto records = sqe.cdw11 == kDictionaries ? dataset->dictionaries() : dataset->column(sqe.cdw11);
  const auto data = association.data_of(sqe);
  if (!data || data->size() < records.size_bytes()) return {wire::kStatusInvalidField, static_cast<uint32_t>(records.size_bytes())};
  if (!records.empty()) std::memcpy(data->data(), records.data(), records.size_bytes());
  return {wire::kStatusSuccess, static_cast<uint32_t>(records.size_bytes())};
}

}  // namespace millrace
