#include "core/controller/admin.h"

#include <cstring>

namespace millrace {

CommandResult set_features(Association& association, const wire::Sqe& sqe) {
  std::byte copy[512];
  const uint32_t bytes = Features::data_bytes(sqe.cdw10 & 0xffu);
  if (bytes > 0) {
    const auto data = association.data_of(sqe);
    if (!data) return {wire::kStatusInvalidField};
    if (data->size() < bytes) return {wire::kStatusDataSglLengthInvalid};
    std::memcpy(copy, data->data(), bytes);
  }
  const FeatureAnswer answer = association.controller.features.set(sqe, {copy, bytes});
  if (answer.status == wire::kStatusSuccess && (sqe.cdw10 & 0xffu) == wire::kFidKeepAliveTimer)
    association.controller.keep_alive.start(uint64_t{association.controller.features.keep_alive_ms()} * 1'000'000, monotonic_ns());
  association.arbitrate();
  association.controller.events.enable(association.controller.features.async_events());
  return {answer.status, answer.dw0};
}

CommandResult get_features(const Association& association, const wire::Sqe& sqe) {
  std::byte copy[512] = {};
  const uint32_t bytes = Features::data_bytes(sqe.cdw10 & 0xffu);
  const FeatureAnswer answer = association.controller.features.get(sqe, {copy, sizeof copy});
  if (answer.status != wire::kStatusSuccess || answer.bytes == 0) return {answer.status, answer.dw0};
  const auto data = association.data_of(sqe);
  if (!data) return {wire::kStatusInvalidField};
  if (data->size() < bytes) return {wire::kStatusDataSglLengthInvalid};
  std::memcpy(data->data(), copy, answer.bytes);
  return {wire::kStatusSuccess, answer.dw0, 0, answer.bytes};
}

void request_event(Association& association, const wire::Sqe& sqe) {
  std::optional<AsyncEvents::Answer> answer;
  if (!association.controller.events.request(sqe.cid, answer)) return association.finish(0, sqe, {wire::kStatusAsyncEventLimitExceeded});
  association.answer_event(answer);
}

}  // namespace millrace
