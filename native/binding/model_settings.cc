#include "binding/model_settings.h"

#include <cmath>
#include <optional>
#include <string>

#include "binding/queue_handle.h"
#include "core/limits.h"

namespace millrace::binding {

namespace {

constexpr double kWholeMax = 9007199254740991.0;

[[noreturn]] void refuse(Napi::Env env, const std::string& why) { throw coded_error(env, "MR_DEVICE_CONFIG", why); }

double number_of(const Napi::Value& value, const std::string& name) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(number >= 0 && number <= kWholeMax)) refuse(value.Env(), name + " must be a number from 0 to 2^53");
  return number;
}

/** Every property but `kind` is a number of the list. */
template <typename Settings>
Settings read_settings(const Napi::Object& object, const std::string& path) {
  Settings settings;
  const Napi::Array names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    const std::string name = names.Get(i).ToString();
    if (name == "kind") continue;
    bool known = false;
    for (const auto& entry : Settings::entries()) {
      if (entry.name != name) continue;
      settings.*entry.member = number_of(object.Get(name), path + "." + name);
      known = true;
    }
    if (!known) refuse(object.Env(), path + "." + name + " is no number of this model");
  }
  return settings;
}

template <typename Settings>
Napi::Array names_of(Napi::Env env) {
  Napi::Array array = Napi::Array::New(env);
  for (const auto& entry : Settings::entries()) array.Set(array.Length(), std::string(entry.name));
  return array;
}

template <typename Value, size_t N>
Value word_field(const Napi::Object& object, const char* name, Value absent, const std::pair<const char*, Value> (&words)[N]) {
  const Napi::Value value = object.Get(name);
  if (value.IsUndefined()) return absent;
  const std::string text = value.ToString();
  for (const auto& [word, meaning] : words)
    if (text == word) return meaning;
  refuse(object.Env(), std::string(name) + ": '" + text + "' is not known");
}

Workload workload_of(const Napi::Object& o) {
  Workload w;
  const auto number = [&o](const char* name, double absent) { return o.Get(name).IsUndefined() ? absent : number_of(o.Get(name), name); };
  w.read_share = number("readShare", w.read_share);
  w.bytes = static_cast<uint64_t>(number("bytes", static_cast<double>(w.bytes)));
  w.span_bytes = static_cast<uint64_t>(number("spanBytes", 0));
  w.threads = static_cast<uint32_t>(std::min(number("threads", 1), 1e6));
  w.depth = static_cast<uint32_t>(std::min(number("depth", 1), 1e6));
  w.count = static_cast<uint64_t>(number("count", static_cast<double>(w.count)));
  w.warm_up = static_cast<uint64_t>(number("warmUp", 0));
  w.seed = static_cast<uint64_t>(number("seed", 1));
  w.fua = o.Get("fua").ToBoolean();
  w.capacity_bytes = static_cast<uint64_t>(number("capacityBytes", static_cast<double>(w.capacity_bytes)));
  w.precondition = number("precondition", 0);
  w.pattern = word_field(o, "pattern", w.pattern, {std::pair{"sequential", WorkloadPattern::kSequential}, std::pair{"random", WorkloadPattern::kRandom}, std::pair{"halves", WorkloadPattern::kHalves}});
  w.store = word_field(o, "store", w.store, {std::pair{"nt", ModelStore::kNt}, std::pair{"flushed", ModelStore::kFlushed}, std::pair{"cached", ModelStore::kCached}});
  w.port = word_field(o, "port", w.port, {std::pair{"host", ModelPort::kHost}, std::pair{"device", ModelPort::kDevice}});
  return w;
}

/** Off the event loop: long workloads take seconds. */
class SimulateWorker : public Napi::AsyncWorker {
 public:
  SimulateWorker(Napi::Env env, ModelSettings settings, Workload workload) : AsyncWorker(env), deferred_(env), settings_(std::move(settings)), workload_(workload) {}
  Napi::Promise promise() const { return deferred_.Promise(); }
  void Execute() override {
    try {
      result_ = run_workload(settings_, workload_);
    } catch (const std::invalid_argument& error) {
      SetError(error.what());
    }
  }
  void OnOK() override {
    const Napi::Env env = Env();
    Napi::Object o = Napi::Object::New(env);
    const auto set = [&](const char* name, double value) { o.Set(name, Napi::Number::New(env, value)); };
    o.Set("reads", latency_object(env, result_->reads));
    o.Set("writes", latency_object(env, result_->writes));
    set("virtualNs", static_cast<double>(result_->virtual_ns));
    set("commandsPerSecond", result_->commands_per_second);
    set("readBytesPerSecond", result_->read_bytes_per_second);
    set("writeBytesPerSecond", result_->write_bytes_per_second);
    set("writeAmplification", result_->write_amplification);
    o.Set("digest", Napi::String::New(env, std::to_string(result_->digest)));
    const auto& energy = result_->energy;
    set("seconds", energy.seconds);
    set("idleJ", energy.idle_j);
    set("activeJ", energy.active_j);
    set("linkJ", energy.link_j);
    set("memoryJ", energy.memory_j);
    deferred_.Resolve(o);
  }
  void OnError(const Napi::Error& error) override { deferred_.Reject(coded_error(Env(), "MR_DEVICE_CONFIG", error.Message()).Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  ModelSettings settings_;
  Workload workload_;
  std::optional<WorkloadResult> result_;
};

}  // namespace

Napi::Object latency_object(Napi::Env env, const Histogram& h) {
  Napi::Object o = Napi::Object::New(env);
  const auto set = [&](const char* name, double value) { o.Set(name, Napi::Number::New(env, value)); };
  set("count", static_cast<double>(h.count()));
  set("meanNs", h.mean_ns());
  set("p50Ns", static_cast<double>(h.quantile_ns(0.5)));
  set("p99Ns", static_cast<double>(h.quantile_ns(0.99)));
  set("p999Ns", static_cast<double>(h.quantile_ns(0.999)));
  set("p99999Ns", static_cast<double>(h.quantile_ns(0.99999)));
  set("maxNs", static_cast<double>(h.max_ns()));
  return o;
}

LinkSettings link_settings(const Napi::Value& link) {
  if (!link.IsObject()) return {};
  const auto object = link.As<Napi::Object>();
  const double latency_ns = number_of(object.Get("latencyNs"), "latencyNs");
  if (latency_ns > static_cast<double>(kLinkLatencyNsMax)) refuse(link.Env(), "latencyNs must be at most 10 s");
  return {static_cast<uint64_t>(number_of(object.Get("bytesPerSecond"), "bytesPerSecond")), static_cast<uint64_t>(latency_ns)};
}

ModelSettings model_settings(const Napi::Value& config) {
  ModelSettings settings;
  if (!config.IsObject()) return settings;
  const auto object = config.As<Napi::Object>();
  settings.link = link_settings(object.Get("link"));
  if (object.Get("power").IsObject()) settings.power = read_settings<PowerSettings>(object.Get("power").As<Napi::Object>(), "power");
  const Napi::Value media = object.Get("media");
  if (!media.IsObject()) return settings;
  const auto numbers = media.As<Napi::Object>();
  const std::string kind = numbers.Get("kind").ToString();
  if (kind == "flash") settings.media = read_settings<FlashSettings>(numbers, "media");
  else if (kind == "units") settings.media = read_settings<UnitSettings>(numbers, "media");
  else if (kind == "memory") settings.media = read_settings<MemorySettings>(numbers, "media");
  else refuse(config.Env(), "media.kind must be flash, units or memory");
  return settings;
}

Napi::Value model_fields(const Napi::CallbackInfo& info) {
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("flash", names_of<FlashSettings>(info.Env()));
  o.Set("units", names_of<UnitSettings>(info.Env()));
  o.Set("memory", names_of<MemorySettings>(info.Env()));
  o.Set("power", names_of<PowerSettings>(info.Env()));
  return o;
}

Napi::Value simulate(const Napi::CallbackInfo& info) {
  if (!info[1].IsObject()) refuse(info.Env(), "simulate takes a model and a workload");
  auto* worker = new SimulateWorker(info.Env(), model_settings(info[0]), workload_of(info[1].As<Napi::Object>()));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace millrace::binding
