#include "binding/device_handle.h"

#include "binding/model_settings.h"

#include <cmath>

namespace millrace::binding {

struct DeviceHandle::Events {
  std::mutex mutex;
  Napi::ThreadSafeFunction callback;
  bool set = false;
  uint64_t generation = 0;

  /** Any thread. */
  void send(const char* kind, std::string detail) {
    const std::lock_guard lock(mutex);
    if (!set) return;
    auto* event = new std::pair<std::string, std::string>(kind, std::move(detail));
    const auto status = callback.NonBlockingCall(event, [](Napi::Env env, Napi::Function function, std::pair<std::string, std::string>* e) {
      const std::unique_ptr<std::pair<std::string, std::string>> owned(e);
      Napi::Object object = Napi::Object::New(env);
      object.Set("kind", owned->first);
      object.Set("detail", owned->second);
      function.Call({object});
    });
    if (status != napi_ok) delete event;
  }
  void end() {
    const std::lock_guard lock(mutex);
    if (set) callback.Release();
    set = false;
  }
};

namespace {

double number_field(const Napi::Object& object, const char* name, double least, double most) {
  const Napi::Value value = object.Get(name);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(number >= least && number <= most) || number != std::floor(number)) throw coded_error(object.Env(), "MR_DEVICE_CONFIG", std::string(name) + " must be a whole number from " + std::to_string(static_cast<int64_t>(least)) + " to " + std::to_string(static_cast<int64_t>(most)));
  return number;
}

std::string text_field(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

/** An optional field; `absent` where it is not there. */
double optional_number(const Napi::Object& object, const char* name, double absent) {
  const Napi::Value value = object.Get(name);
  if (value.IsUndefined()) return absent;
  if (!value.IsNumber()) throw coded_error(object.Env(), "MR_DEVICE_CONFIG", std::string(name) + " must be a number");
  return value.As<Napi::Number>().DoubleValue();
}

/** Where NVMe/TCP hosts come in; hosts that have a secret, where any must. */
tcp::TcpSettings tcp_of(const Napi::Object& config, std::shared_ptr<AuthenticationBridge>& authentication) {
  const Napi::Value value = config.Get("nvmeTcp");
  if (!value.IsObject()) return {};
  const auto object = value.As<Napi::Object>();
  tcp::TcpSettings s;
  s.address = text_field(object, "address");
  s.port = static_cast<uint16_t>(number_field(object, "port", 0, 65535));
  s.advertised_address = text_field(object, "advertisedAddress");
  s.advertised_port = static_cast<uint16_t>(optional_number(object, "advertisedPort", 0));
  if (const Napi::Value hosts = object.Get("hosts"); hosts.IsArray()) {
    const auto list = hosts.As<Napi::Array>();
    std::set<std::string> names;
    for (uint32_t i = 0; i < list.Length(); i++) names.insert(list.Get(i).ToString());
    authentication = std::make_shared<AuthenticationBridge>(std::move(names));
    s.authentication = authentication->functions();
  }
  return s;
}

DeviceSettings settings_of(const Napi::Object& config) {
  DeviceSettings s;
  s.backing_file = text_field(config, "backingFile");
  s.capacity_bytes = static_cast<uint64_t>(number_field(config, "capacityBytes", kBlockBytes, 9007199254740991.0));
  s.raw_file = text_field(config, "rawFile");
  if (!s.raw_file.empty()) s.raw_bytes = static_cast<uint64_t>(number_field(config, "rawBytes", kBlockBytes, 9007199254740991.0));
  s.slm_bytes = static_cast<uint64_t>(number_field(config, "slmBytes", static_cast<double>(kSlmBytesMin), static_cast<double>(kSlmBytesMax)));
  s.kv_file = text_field(config, "kvFile");
  if (!s.kv_file.empty()) s.kv_bytes = static_cast<uint64_t>(number_field(config, "kvBytes", static_cast<double>(kKvBytesMin), static_cast<double>(kKvBytesMax)));
  s.io_threads = static_cast<uint32_t>(number_field(config, "ioThreads", 1, 16));
  s.slots = static_cast<uint32_t>(number_field(config, "slots", 0, kSlotsMax));
  s.socket_path = text_field(config, "socketPath");
  s.tickets_required = config.Get("ticketsRequired").ToBoolean();
  if (const std::string nqn = text_field(config, "nqn"); !nqn.empty()) s.nqn = nqn;
  s.slot_node = text_field(config, "slotNode");
  s.slot_script = text_field(config, "slotScript");
  s.slot_launcher = text_field(config, "slotLauncher");
  s.slot_heap_bytes_max = static_cast<uint64_t>(number_field(config, "slotHeapBytesMax", 0, 4294967296.0));
  s.model = model_settings(config.Get("model"));
  s.model.link = link_settings(config.Get("link"));
  s.core.factor = optional_number(config, "coreFactor", 1);
  s.tenant_slm_bytes = static_cast<uint64_t>(optional_number(config, "tenantSlmBytes", static_cast<double>(std::max(kSlmBytesMin, s.slm_bytes / 4))));
  s.tenants_resident_max = static_cast<uint32_t>(optional_number(config, "tenantsResidentMax", 4));
  s.morsel_deadline_ms = static_cast<uint32_t>(number_field(config, "morselDeadlineMs", 1, 86400000));
  return s;
}

std::vector<BlockRange> ranges_of(const Napi::Value& value) {
  if (!value.IsArray()) throw coded_error(value.Env(), "MR_DEVICE_ARGUMENT", "writable must be an array of { slba, blocks }");
  const auto array = value.As<Napi::Array>();
  std::vector<BlockRange> ranges;
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::Object range = array.Get(i).ToObject();
    ranges.push_back({static_cast<uint64_t>(number_field(range, "slba", 0, 9007199254740991.0)), static_cast<uint64_t>(number_field(range, "blocks", 0, 9007199254740991.0))});
  }
  return ranges;
}

/** Ends the device off the event loop: joining its threads and slots takes milliseconds. */
class CloseWorker : public Napi::AsyncWorker {
 public:
  CloseWorker(Napi::Env env, std::unique_ptr<Device> device) : AsyncWorker(env), deferred_(env), device_(std::move(device)) {}
  Napi::Promise promise() const { return deferred_.Promise(); }
  void Execute() override { device_.reset(); }
  void OnOK() override { deferred_.Resolve(Env().Undefined()); }

 private:
  Napi::Promise::Deferred deferred_;
  std::unique_ptr<Device> device_;
};

/** A promise that any thread resolves, once. LIFETIME: `resolve` may outlive this; the deferred lives until it ran. */
struct Later {
  Later(Napi::Env env, const char* name) : deferred(std::make_shared<Napi::Promise::Deferred>(env)), promise(deferred->Promise()) {
    done = Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}), name, 0, 1);
    resolve = [deferred = deferred, done = done] {
      done.NonBlockingCall([deferred](Napi::Env e, Napi::Function) { deferred->Resolve(e.Undefined()); });
      Napi::ThreadSafeFunction(done).Release();
    };
  }
  /** Instead of resolve, on the JS thread. */
  void reject(const Napi::Error& error) {
    done.Release();
    deferred->Reject(error.Value());
  }

  std::shared_ptr<Napi::Promise::Deferred> deferred;
  Napi::Promise promise;
  Napi::ThreadSafeFunction done;
  std::function<void()> resolve;
};

}  // namespace

Napi::Function DeviceHandle::define(Napi::Env env) {
  return DefineClass(env, "NativeDevice",
                     {
                         InstanceMethod<&DeviceHandle::attach>("attach"),
                         InstanceMethod<&DeviceHandle::grant_ticket>("grantTicket"),
                         InstanceMethod<&DeviceHandle::extend_ticket>("extendTicket"),
                         InstanceMethod<&DeviceHandle::revoke_ticket>("revokeTicket"),
                         InstanceMethod<&DeviceHandle::register_dataset>("registerDataset"),
                         InstanceMethod<&DeviceHandle::retire_dataset>("retireDataset"),
                         InstanceMethod<&DeviceHandle::link_transfer>("linkTransfer"),
                         InstanceMethod<&DeviceHandle::set_tenant>("setTenant"),
                         InstanceMethod<&DeviceHandle::grant_attach>("grantAttach"),
                         InstanceMethod<&DeviceHandle::require_tickets>("requireTickets"),
                         InstanceMethod<&DeviceHandle::drain_audit>("drainAudit"),
                         InstanceMethod<&DeviceHandle::stats>("stats"),
                         InstanceMethod<&DeviceHandle::on_event>("onEvent"),
                         InstanceMethod<&DeviceHandle::on_authentication>("onAuthentication"),
                         InstanceMethod<&DeviceHandle::answer_authentication>("answerAuthentication"),
                         InstanceMethod<&DeviceHandle::close>("close"),
                     });
}

DeviceHandle::DeviceHandle(const Napi::CallbackInfo& info) : ObjectWrap(info), events_(std::make_shared<Events>()) {
  if (!info[0].IsObject()) throw coded_error(info.Env(), "MR_DEVICE_CONFIG", "openDevice takes a DeviceConfig");
  try {
    DeviceSettings settings = settings_of(info[0].As<Napi::Object>());
    settings.tcp = tcp_of(info[0].As<Napi::Object>(), authentication_);
    device_ = std::make_unique<Device>(std::move(settings), [events = events_](const char* kind, std::string detail) { events->send(kind, std::move(detail)); }, make_slot_supervisor);
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw coded_error(info.Env(), "MR_DEVICE_OPEN", error.what());
  }
}

DeviceHandle::~DeviceHandle() {
  for (QueueHandle* queue : std::exchange(queues_, {})) queue->on_shut(nullptr);
  if (authentication_) authentication_->end();
  device_.reset();
  events_->end();
}

Device& DeviceHandle::device(Napi::Env env) {
  if (!device_) throw coded_error(env, "MR_DEVICE_CLOSED", "the device is closed");
  return *device_;
}

Napi::Value DeviceHandle::attach(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object options = info[0].ToObject();
  const auto entries = static_cast<uint32_t>(number_field(options, "entries", kIoEntriesMin, kIoEntriesMax));
  const auto data_bytes = static_cast<uint64_t>(number_field(options, "dataBytes", kDataBytesMin, static_cast<double>(kDataBytesMax)));
  try {
    const Napi::Object object = QueueHandle::wrap(env, device(env).attach(entries, data_bytes));
    QueueHandle* queue = QueueHandle::Unwrap(object);
    queues_.insert(queue);
    queue->on_shut([this, queue] { queues_.erase(queue); });
    return object;
  } catch (const AttachError& error) {
    throw coded_error(env, error.code, error.detail);
  } catch (const std::system_error& error) {
    throw coded_error(env, "MR_ATTACH_REFUSED", error.what());
  }
}

Napi::Value DeviceHandle::grant_ticket(const Napi::CallbackInfo& info) {
  try {
    return Napi::String::New(info.Env(), device(info.Env()).grant_ticket(ranges_of(info[0])));
  } catch (const std::invalid_argument& error) {
    throw coded_error(info.Env(), "MR_DEVICE_ARGUMENT", error.what());
  }
}

void DeviceHandle::extend_ticket(const Napi::CallbackInfo& info) {
  bool known = false;
  try {
    known = device(info.Env()).extend_ticket(info[0].ToString(), ranges_of(info[1]));
  } catch (const std::invalid_argument& error) {
    throw coded_error(info.Env(), "MR_DEVICE_ARGUMENT", error.what());
  }
  if (!known) throw coded_error(info.Env(), "MR_TICKET_UNKNOWN", "the ticket is unknown or revoked");
}

Napi::Value DeviceHandle::revoke_ticket(const Napi::CallbackInfo& info) {
  Later later(info.Env(), "millrace.revoke");
  device(info.Env()).revoke_ticket(info[0].ToString(), later.resolve);
  return later.promise;
}

void DeviceHandle::register_dataset(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray()) throw coded_error(info.Env(), "MR_DEVICE_ARGUMENT", "registerDataset takes a Uint8Array");
  const auto layout = info[0].As<Napi::Uint8Array>();
  try {
    device(info.Env()).register_dataset({reinterpret_cast<const std::byte*>(layout.Data()), layout.ByteLength()}, info[1].IsString() ? info[1].As<Napi::String>().Utf8Value() : std::string());
  } catch (const std::invalid_argument& error) {
    throw coded_error(info.Env(), "MR_LAYOUT_INVALID", error.what());
  }
}

Napi::Value DeviceHandle::retire_dataset(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const uint32_t handle = info[0].ToNumber().Uint32Value();
  Later later(env, "millrace.retire");
  if (!device(env).retire_dataset(handle, later.resolve)) later.reject(coded_error(env, "MR_DATASET_NOT_FOUND", "no dataset is registered under this handle"));
  return later.promise;
}

Napi::Value DeviceHandle::link_transfer(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  CompletionGate* gate = device(env).gate();
  const double bytes = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : NAN;
  if (!(bytes >= 0 && bytes <= 9007199254740991.0)) throw coded_error(env, "MR_DEVICE_ARGUMENT", "linkTransfer takes a count of bytes");
  Later later(env, "millrace.link");
  if (gate) gate->transfer(static_cast<uint64_t>(bytes), info[1].ToBoolean(), later.resolve);
  else later.resolve();
  return later.promise;
}

void DeviceHandle::set_tenant(const Napi::CallbackInfo& info) {
  try {
    device(info.Env()).set_tenant(tenant_of(info[0].ToObject()));
  } catch (const std::invalid_argument& error) {
    throw coded_error(info.Env(), "MR_DEVICE_ARGUMENT", error.what());
  }
}

namespace {
AttachRights rights_of(const Napi::Object& rights) {
  AttachRights granted{static_cast<uint32_t>(number_field(rights, "tenant", 0, 4294967295.0)), static_cast<uint32_t>(number_field(rights, "actor", 0, 4294967295.0)), rights.Get("actsForOthers").ToBoolean(), nullptr, !rights.Get("mayWrite").IsBoolean() || rights.Get("mayWrite").ToBoolean()};
  if (const Napi::Value names = rights.Get("datasets"); names.IsArray()) {
    const auto list = names.As<Napi::Array>();
    std::set<std::string> datasets;
    for (uint32_t i = 0; i < list.Length(); i++) datasets.insert(list.Get(i).ToString());
    granted.datasets = std::make_shared<const std::set<std::string>>(std::move(datasets));
  }
  return granted;
}
}  // namespace

Napi::Value DeviceHandle::grant_attach(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), device(info.Env()).grant_attach(rights_of(info[0].ToObject()))); }

void DeviceHandle::require_tickets(const Napi::CallbackInfo& info) { device(info.Env()).require_tickets(info[0].ToBoolean()); }

Napi::Value DeviceHandle::drain_audit(const Napi::CallbackInfo& info) { return audit_object(info.Env(), device(info.Env()).audit()); }

Napi::Value DeviceHandle::stats(const Napi::CallbackInfo& info) { return stats_object(info.Env(), device(info.Env())); }

void DeviceHandle::on_event(const Napi::CallbackInfo& info) {
  events_->end();
  const std::lock_guard lock(events_->mutex);
  // LIFETIME: an ending environment frees its thread-safe functions before it finalizes objects: ~DeviceHandle must not
  // release one that is gone (seen as a hang at exit). An earlier callback's end is not this one's.
  events_->callback = Napi::ThreadSafeFunction::New(info.Env(), info[0].As<Napi::Function>(), "millrace.events", 1024, 1, [events = events_, mine = ++events_->generation](Napi::Env) {
    const std::lock_guard ended(events->mutex);
    if (events->generation == mine) events->set = false;
  });
  events_->callback.Unref(info.Env());
  events_->set = true;
}

void DeviceHandle::on_authentication(const Napi::CallbackInfo& info) {
  if (!authentication_) throw coded_error(info.Env(), "MR_DEVICE_ARGUMENT", "the device was opened without nvmeTcp.hosts");
  authentication_->on_exchange(info.Env(), info[0].As<Napi::Function>());
}

Napi::Value DeviceHandle::answer_authentication(const Napi::CallbackInfo& info) {
  using Outcome = tcp::Authentication::Outcome;
  const std::string outcome = info[1].ToString();
  if (!authentication_ || !info[2].IsTypedArray()) throw coded_error(info.Env(), "MR_DEVICE_ARGUMENT", "answerAuthentication(exchange, outcome, Uint8Array)");
  const auto reply = info[2].As<Napi::Uint8Array>();
  const auto* bytes = reinterpret_cast<const std::byte*>(reply.Data());
  return Napi::Boolean::New(info.Env(), authentication_->answer(static_cast<uint64_t>(info[0].ToNumber().Int64Value()), outcome == "proved" ? Outcome::kProved : outcome == "more" ? Outcome::kMore : Outcome::kFailed,
                                                               {bytes, bytes + reply.ByteLength()}, info[3].IsObject() ? rights_of(info[3].As<Napi::Object>()) : AttachRights{}));
}

Napi::Value DeviceHandle::close(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  for (QueueHandle* queue : std::exchange(queues_, {})) {
    queue->on_shut(nullptr);
    queue->shut("the device was closed");
  }
  auto* worker = new CloseWorker(env, std::move(device_));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace millrace::binding
