// NativeDevice of native/index.ts. JS thread only, except the two callbacks that are marked.
#pragma once
#include <napi.h>

#include <memory>
#include <set>

#include "binding/authentication.h"
#include "binding/queue_handle.h"
#include "core/device/device.h"

namespace millrace::binding {

class DeviceHandle : public Napi::ObjectWrap<DeviceHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  /** new NativeDevice(config) */
  explicit DeviceHandle(const Napi::CallbackInfo& info);
  ~DeviceHandle() override;

 private:
  Napi::Value attach(const Napi::CallbackInfo& info);
  Napi::Value grant_ticket(const Napi::CallbackInfo& info);
  void extend_ticket(const Napi::CallbackInfo& info);
  Napi::Value revoke_ticket(const Napi::CallbackInfo& info);
  void register_dataset(const Napi::CallbackInfo& info);
  Napi::Value retire_dataset(const Napi::CallbackInfo& info);
  void set_tenant(const Napi::CallbackInfo& info);
  Napi::Value grant_attach(const Napi::CallbackInfo& info);
  void require_tickets(const Napi::CallbackInfo& info);
  Napi::Value drain_audit(const Napi::CallbackInfo& info);
  Napi::Value link_transfer(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  void on_event(const Napi::CallbackInfo& info);
  void on_authentication(const Napi::CallbackInfo& info);
  Napi::Value answer_authentication(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  Device& device(Napi::Env env);

  /** Where the device's threads leave events; outlives the handle until the device is gone. */
  struct Events;
  std::shared_ptr<Events> events_;
  std::shared_ptr<AuthenticationBridge> authentication_;  // nullptr: hosts need no secret
  std::unique_ptr<Device> device_;
  std::set<QueueHandle*> queues_;
};

/** TenantConfig (native/index.ts). Throws MR_DEVICE_ARGUMENT. */
Tenant tenant_of(const Napi::Object& config);
/** AuditBatch. */
Napi::Object audit_object(Napi::Env env, AuditTrail& trail);

/** DeviceStats as a JS object. */
Napi::Object stats_object(Napi::Env env, const Device& device);

}  // namespace millrace::binding
