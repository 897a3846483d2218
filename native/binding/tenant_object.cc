// Tenants into the device, audit records out of it.
#include "binding/device_handle.h"

namespace millrace::binding {

namespace {

uint64_t cap(const Napi::Object& caps, const char* name) {
  const Napi::Value value = caps.Get(name);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= 9007199254740991.0)) throw coded_error(caps.Env(), "MR_DEVICE_ARGUMENT", std::string(name) + " must be a number from 0");
  return static_cast<uint64_t>(number);
}

uint32_t cap32(const Napi::Object& caps, const char* name) { return static_cast<uint32_t>(std::min<uint64_t>(cap(caps, name), 0xffffffffu)); }

Sha256 digest_of(const Napi::Value& value) {
  const std::string text = value.ToString();
  Sha256 digest{};
  bool valid = text.size() == digest.size() * 2;
  for (size_t i = 0; valid && i < digest.size(); i++) {
    const auto nibble = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
    const int high = nibble(text[2 * i]);
    const int low = nibble(text[2 * i + 1]);
    valid = high >= 0 && low >= 0;
    digest[i] = static_cast<unsigned char>(high << 4 | low);
  }
  if (!valid) throw coded_error(value.Env(), "MR_DEVICE_ARGUMENT", "kernels must be SHA-256 digests in lower-case hex");
  return digest;
}

}  // namespace

Tenant tenant_of(const Napi::Object& config) {
  Tenant tenant;
  tenant.id = cap32(config, "id");
  tenant.name = config.Get("name").ToString();
  const Napi::Object caps = config.Get("caps").ToObject();
  tenant.caps = {cap(caps, "memoryBytes"), cap32(caps, "deadlineMs"), cap32(caps, "compileMs"), cap32(caps, "cpuPercent"), cap(caps, "outputBytes"), cap32(caps, "stackBytes"), cap32(caps, "moduleBytes")};
  const Napi::Value kernels = config.Get("kernels");
  if (!kernels.IsArray()) return tenant;
  tenant.kernels.emplace();
  const auto list = kernels.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) tenant.kernels->insert(digest_of(list.Get(i)));
  return tenant;
}

Napi::Object audit_object(Napi::Env env, AuditTrail& trail) {
  const auto [records, lost] = trail.drain();
  Napi::Array array = Napi::Array::New(env, records.size());
  for (uint32_t i = 0; i < records.size(); i++) {
    const AuditRecord& r = records[i];
    Napi::Object object = Napi::Object::New(env);
    object.Set("tenant", r.tenant);
    object.Set("actor", r.actor);
    object.Set("dataset", r.dataset);
    if (r.kernel) object.Set("kernel", hex(*r.kernel));
    if (r.made_of) {
      Napi::Array made_of = Napi::Array::New(env, r.made_of->size());
      for (uint32_t m = 0; m < r.made_of->size(); m++) made_of.Set(m, hex((*r.made_of)[m]));
      object.Set("madeOf", made_of);
    }
    object.Set("morsels", r.morsels);
    object.Set("morselsDevice", r.morsels_device);
    object.Set("fault", r.fault);
    object.Set("refused", r.refused);
    object.Set("ms", static_cast<double>(r.ran_ns) / 1e6);
    array.Set(i, object);
  }
  Napi::Object batch = Napi::Object::New(env);
  batch.Set("records", array);
  batch.Set("lost", static_cast<double>(lost));
  return batch;
}

}  // namespace millrace::binding
