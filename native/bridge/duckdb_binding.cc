#include "bridge/duckdb_binding.h"

#include "bridge/arrow_table.h"
#include "bridge/bridge_error.h"
#include "bridge/bridge_register.h"
#include "bridge/mapped_file.h"
#include "bridge/result_column.h"

namespace millrace::bridge {

namespace {

SessionConfig config_from_js(const Napi::Object& from) {
  SessionConfig config;
  config.library_path = from.Get("libraryPath").ToString().Utf8Value();
  if (from.Get("path").IsString()) config.path = from.Get("path").ToString().Utf8Value();
  const Napi::Object options = from.Get("options").ToObject();
  const Napi::Array names = options.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    const std::string name = names.Get(i).ToString().Utf8Value();
    config.options.emplace_back(name, options.Get(name).ToString().Utf8Value());
  }
  const Napi::Array statements = from.Get("statements").As<Napi::Array>();
  for (uint32_t i = 0; i < statements.Length(); i++) config.statements.push_back(statements.Get(i).ToString().Utf8Value());
  return config;
}

Napi::Value result_to_js(Napi::Env env, QueryResult& result) {
  const Napi::Array columns = Napi::Array::New(env, result.names.size());
  for (uint32_t i = 0; i < result.names.size(); i++) {
    const Napi::Object column = Napi::Object::New(env);
    column.Set("name", result.names[i]);
    column.Set("format", result.formats[i]);
    columns.Set(i, column);
  }
  const Napi::Array batches = Napi::Array::New(env, result.batches.size());
  for (uint32_t i = 0; i < result.batches.size(); i++) {
    ResultBatch& batch = result.batches[i];
    const Napi::Array buffers = Napi::Array::New(env);
    uint32_t at = 0;
    for (ColumnBuffers& column : batch.columns) {
      buffers.Set(at++, column.validity.size() == 0 ? env.Null() : to_js(env, column.validity));
      if (column.has_offsets) buffers.Set(at++, to_js(env, column.offsets));
      buffers.Set(at++, to_js(env, column.data));
    }
    const Napi::Object object = Napi::Object::New(env);
    object.Set("rows", static_cast<double>(batch.rows));
    object.Set("buffers", buffers);
    batches.Set(i, object);
  }
  const Napi::Object out = Napi::Object::New(env);
  out.Set("columns", columns);
  out.Set("batches", batches);
  return out;
}

}  // namespace

Napi::Function DuckBinding::define(Napi::Env env) {
  return DefineClass(env, "DuckDB",
                     {
                         InstanceMethod<&DuckBinding::query>("query"),
                         InstanceMethod<&DuckBinding::register_table>("registerTable"),
                         InstanceMethod<&DuckBinding::drop_table>("dropTable"),
                         InstanceMethod<&DuckBinding::register_function>("registerFunction"),
                         InstanceMethod<&DuckBinding::interrupt>("interrupt"),
                         InstanceMethod<&DuckBinding::close>("close"),
                         InstanceMethod<&DuckBinding::encoder<&EncoderTable::open>>("encoderOpen"),
                         InstanceMethod<&DuckBinding::encoder<&EncoderTable::gather>>("encoderGather"),
                         InstanceMethod<&DuckBinding::encoder<&EncoderTable::encode>>("encoderEncode"),
                         InstanceMethod<&DuckBinding::encoder<&EncoderTable::dictionary_bytes>>("encoderDictionaryBytes"),
                         InstanceMethod<&DuckBinding::encoder<&EncoderTable::encode_dictionary>>("encoderEncodeDictionary"),
                         InstanceMethod<&DuckBinding::encoder<&EncoderTable::close>>("encoderClose"),
                     });
}

DuckBinding::DuckBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DuckBinding>(info) {
  try {
    session_ = std::make_shared<Session>(config_from_js(info[0].ToObject()));
  } catch (const BridgeError& error) {
    throw coded_error(info.Env(), error.code, error.what());
  }
  // ORDER: before the work, whose hook at the environment's end joins the threads that call these.
  functions_ = std::make_unique<HostFunctions>(info.Env(), session_);
  work_ = std::make_unique<PromiseWork>(info.Env(), session_, [this](bool keep) { keep ? Ref() : Unref(); });
  encoders_ = std::make_unique<EncoderTable>(session_);
}

DuckBinding::~DuckBinding() {
  if (encoders_ == nullptr) return;
  // ORDER: thread, then the functions it calls and the encoders (they hold connections), then the instance.
  work_.reset();
  functions_.reset();
  encoders_->clear();
}

Napi::Value DuckBinding::query(const Napi::CallbackInfo& info) {
  const std::string sql = info[0].ToString().Utf8Value();
  if (sql.find('\0') != std::string::npos) throw coded_error(info.Env(), "MR_SQL_SYNTAX", "the statement contains a zero byte");
  return work_->start<QueryResult>(
      info.Env(), [session = session_, sql] { return run_query(*session, sql); }, result_to_js);
}

Napi::Value DuckBinding::register_table(const Napi::CallbackInfo& info) {
  const std::string name = info[0].ToString().Utf8Value();
  auto pins = std::make_shared<Pins>();
  auto columns = columns_from_js(info[1]);
  auto batches = batches_from_js(info[2], *pins);
  // std::function copies what it holds, so the parts travel in shared pointers.
  struct Parts {
    std::vector<TableColumn> columns;
    std::vector<TableBatch> batches;
  };
  auto parts = std::make_shared<Parts>(Parts{.columns = std::move(columns), .batches = std::move(batches)});
  return work_->start<bool>(
      info.Env(),
      [session = session_, parts, name] {
        session->put_table(name, std::make_shared<const ArrowTable>(std::move(parts->columns), std::move(parts->batches)));
        return true;
      },
      [all = pins_, pins, name](Napi::Env env, bool&) {
        (*all)[name] = std::move(*pins);
        return env.Undefined();
      });
}

Napi::Value DuckBinding::drop_table(const Napi::CallbackInfo& info) {
  const std::string name = info[0].ToString().Utf8Value();
  return work_->start<bool>(
      info.Env(),
      [session = session_, name] {
        session->drop_table(name);
        return true;
      },
      [all = pins_, name](Napi::Env env, bool&) {
        all->erase(name);
        return env.Undefined();
      });
}

Napi::Value DuckBinding::register_function(const Napi::CallbackInfo& info) { return functions_->define(info, *work_); }

void DuckBinding::interrupt(const Napi::CallbackInfo&) { session_->interrupt(); }

void DuckBinding::close(const Napi::CallbackInfo&) { work_->close(); }

}  // namespace millrace::bridge

namespace millrace {

Napi::Object init_bridge(Napi::Env env, Napi::Object exports) {
  auto* constructor = new Napi::FunctionReference(Napi::Persistent(bridge::DuckBinding::define(env)));
  // LIFETIME: one constructor per environment, as long as the environment.
  env.AddCleanupHook([constructor] { delete constructor; });
  exports.Set("openDuckDB", Napi::Function::New(env, [constructor](const Napi::CallbackInfo& info) -> Napi::Value { return constructor->New({info[0]}); }, "openDuckDB"));
  exports.Set("mapFile", Napi::Function::New(env, bridge::map_file, "mapFile"));
  return exports;
}

}  // namespace millrace
