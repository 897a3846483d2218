#include <cstring>

#include "core/device/commands.h"

namespace millrace {

CommandResult load_program(Association& association, const wire::Sqe& sqe) {
  const uint32_t index = sqe.cdw10 & 0xffffu;
  const uint32_t id_type = sqe.cdw10 >> 25 & 7u;
  ProgramChunk chunk{sqe.cdw10 >> 16 & 0xffu, uint64_t{sqe.cdw13} << 32 | sqe.cdw12, sqe.cdw11, sqe.cdw15, {}};
  if (id_type > 1 || (id_type == 0 && chunk.id != 0)) return {wire::kStatusInvalidField};
  if ((sqe.cdw10 >> 24 & 1u) != 0) {
    if (chunk.total != 0 || chunk.offset != 0 || sqe.cdw14 != 0) return {wire::kStatusInvalidField};
    return {association.programs.unload(index)};
  }
  if (chunk.total > kProgramBytesMax) return {index >= kProgramsMax ? wire::kStatusInvalidProgramIndex : wire::kStatusProgramTooBig};
  const auto data = association.data_of(sqe);
  if (!data) return {wire::kStatusInvalidField};
  if (sqe.cdw14 > data->size()) return {wire::kStatusDataSglLengthInvalid};
  chunk.part = data->first(sqe.cdw14);
  return {association.programs.load(index, chunk)};
}

CommandResult activate_program(Association& association, const wire::Sqe& sqe) {
  const uint32_t select = sqe.cdw10 >> 16 & 0xfu;
  if (select > 1) return {wire::kStatusInvalidField};
  return {association.programs.set_active(sqe.cdw10 & 0xffffu, select == 1)};
}

CommandResult dataset_layout(const Association& association, const DatasetTable& datasets, const wire::Sqe& sqe) {
  constexpr uint32_t kDictionaries = 0xffffffff;
  const auto dataset = datasets.find(sqe.cdw10, association.datasets.get());
  if (!dataset) return {wire::kStatusNoSuchDataset};
  if (sqe.cdw11 != kDictionaries && sqe.cdw11 >= dataset->header().columns) return {wire::kStatusInvalidField};
  const auto records = sqe.cdw11 == kDictionaries ? dataset->dictionaries() : dataset->column(sqe.cdw11);
  const auto data = association.data_of(sqe);
  if (!data || data->size() < records.size_bytes()) return {wire::kStatusInvalidField, static_cast<uint32_t>(records.size_bytes())};
  if (!records.empty()) std::memcpy(data->data(), records.data(), records.size_bytes());
  return {wire::kStatusSuccess, static_cast<uint32_t>(records.size_bytes()), 0, records.size_bytes()};
}

}  // namespace millrace
