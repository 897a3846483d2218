// ModelConfig and Workload of native/index.ts as the core's structures; and `simulate`, `modelFields` of the addon.
#pragma once
#include <napi.h>

#include "core/model/workload.h"

namespace millrace::binding {

/** `media` and `power` of a ModelConfig; undefined: no model. Throws MR_DEVICE_CONFIG naming the field. */
ModelSettings model_settings(const Napi::Value& config);
/** modelFields(): the names each kind of media, and power, takes. */
Napi::Value model_fields(const Napi::CallbackInfo& info);
/** simulate(model, workload): Promise of what the workload saw. */
Napi::Value simulate(const Napi::CallbackInfo& info);
Napi::Object latency_object(Napi::Env env, const Histogram& h);
LinkSettings link_settings(const Napi::Value& link);

}  // namespace millrace::binding
