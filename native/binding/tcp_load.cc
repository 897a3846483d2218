#include "binding/tcp_load.h"

#include "binding/queue_handle.h"
#include "core/tcp/load.h"

namespace millrace::binding {

namespace {

class LoadWorker : public Napi::AsyncWorker {
 public:
  LoadWorker(Napi::Env env, tcp::LoadSettings settings) : AsyncWorker(env), deferred_(env), settings_(std::move(settings)) {}
  Napi::Promise promise() const { return deferred_.Promise(); }
  void Execute() override {
    try {
      result_ = tcp::run_load(settings_);
    } catch (const std::exception& error) {
      SetError(error.what());
    }
  }
  void OnOK() override {
    Napi::Object object = Napi::Object::New(Env());
    object.Set("commands", static_cast<double>(result_.commands));
    object.Set("elapsedNs", static_cast<double>(result_.elapsed_ns));
    object.Set("hash", Napi::BigInt::New(Env(), result_.hash));
    deferred_.Resolve(object);
  }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  tcp::LoadSettings settings_;
  tcp::LoadResult result_;
};

}  // namespace

Napi::Value tcp_load(const Napi::CallbackInfo& info) {
  const Napi::Object options = info[0].ToObject();
  const auto number = [&](const char* name) { return options.Get(name).ToNumber().Int64Value(); };
  tcp::LoadSettings s;
  s.target.address = options.Get("address").ToString();
  s.target.port = static_cast<uint16_t>(number("port"));
  s.target.header_digest = s.target.data_digest = options.Get("digests").ToBoolean();
  s.subsystem = options.Get("nqn").ToString();
  s.nsid = static_cast<uint32_t>(number("nsid"));
  s.depth = static_cast<uint32_t>(number("depth"));
  s.blocks_per_read = static_cast<uint32_t>(number("blocksPerRead"));
  s.blocks = static_cast<uint64_t>(number("blocks"));
  s.commands = static_cast<uint64_t>(number("commands"));
  s.seed = static_cast<uint64_t>(number("seed"));
  if (s.depth == 0 || s.depth > 1024 || s.blocks_per_read == 0 || s.blocks_per_read * kBlockBytes > kTransferBytesMax || s.blocks < s.blocks_per_read) throw coded_error(info.Env(), "MR_ARGUMENT", "nvmeTcpLoad: depth from 1 to 1024, reads of 1 block to 2 MiB within blocks");
  auto* worker = new LoadWorker(info.Env(), std::move(s));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace millrace::binding
