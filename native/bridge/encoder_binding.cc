#include "bridge/encoder_binding.h"

#include <cstring>

#include "bridge/bridge_error.h"
#include "bridge/js_buffers.h"

namespace millrace::bridge {

namespace {

// Chunk offsets are 32-bit and utf8 offsets signed.
constexpr double kRowGroupBytesLimit = double(1u << 30);

struct Request {
  std::vector<ColumnPlan> plans;
  EncodeLimits limits;
};

// utf8 batches of a query result: [validity, offsets, data], no nulls.
std::shared_ptr<const DictionaryIndex> dictionary_from_js(const Napi::Value& value) {
  Pins pins;
  const std::vector<TableBatch> batches = batches_from_js(value, pins);
  auto dictionary = std::make_shared<DictionaryIndex>();
  const ArrowTable checked({TableColumn{.name = "dictionary", .format = "u", .dictionary_offsets = {}, .dictionary_bytes = {}}}, batches);
  for (const TableBatch& batch : checked.batches()) {
    const auto* offsets = reinterpret_cast<const int32_t*>(batch.buffers[1].data);
    const auto* bytes = reinterpret_cast<const char*>(batch.buffers[2].data);
    for (int64_t i = 0; i < batch.rows; i++) dictionary->add(bytes + offsets[i], static_cast<uint32_t>(offsets[i + 1] - offsets[i]));
  }
  dictionary->finish();
  return dictionary;
}

int64_t bound_of(const Napi::Value& value) {
  bool lossless = false;
  const int64_t bound = value.IsBigInt() ? value.As<Napi::BigInt>().Int64Value(&lossless) : 0;
  if (!lossless) throw Napi::RangeError::New(value.Env(), "a bound must be a bigint of 64 bits");
  return bound;
}

ColumnPlan plan_from_js(const Napi::Object& from) {
  ColumnPlan plan;
  plan.name = from.Get("name").ToString().Utf8Value();
  plan.physical = physical_of(from.Get("physical").ToString().Utf8Value());
  plan.nullable = from.Get("nullable").ToBoolean();
  if (const Napi::Value min = from.Get("min"); !min.IsUndefined()) {
    plan.bounded = true;
    plan.min = bound_of(min);
    plan.max = bound_of(from.Get("max"));
  }
  if (is_dictionary(plan.physical)) {
    plan.dictionary = dictionary_from_js(from.Get("dictionary"));
    const uint64_t codes = uint64_t{1} << (8 * value_bytes(plan.physical) - 1);
    if (plan.dictionary->entries() > codes) throw BridgeError("MR_INTERNAL", "the dictionary of " + plan.name + " needs wider codes");
  }
  return plan;
}

Request request_from_js(const Napi::CallbackInfo& info) {
  Request request;
  const Napi::Array columns = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i < columns.Length(); i++) request.plans.push_back(plan_from_js(columns.Get(i).ToObject()));
  const double rows = info[2].ToNumber().DoubleValue();
  const double bytes = info[3].ToNumber().DoubleValue();
  if (!(rows >= 1 && rows <= double(1u << 30)) || !(bytes >= kBlockBytes && bytes <= kRowGroupBytesLimit)) throw Napi::RangeError::New(info.Env(), "row group limits are out of range");
  request.limits = {.row_group_rows_max = static_cast<uint32_t>(rows), .row_group_bytes_max = static_cast<uint64_t>(bytes)};
  return request;
}

Napi::Value records_to_js(Napi::Env env, std::vector<wire::ChunkRecord>& records) {
  auto bytes = Napi::Uint8Array::New(env, records.size() * sizeof(wire::ChunkRecord));
  std::memcpy(bytes.Data(), records.data(), bytes.ByteLength());
  return bytes;
}

Napi::Value nothing(Napi::Env env, bool&) { return env.Undefined(); }

uint32_t id_of(const Napi::CallbackInfo& info) { return info[0].ToNumber().Uint32Value(); }

}  // namespace

EncoderTable::Entry& EncoderTable::entry(Entries& entries, uint32_t id) {
  const auto found = entries.find(id);
  if (found == entries.end()) throw BridgeError("MR_INTERNAL", "the encoder is closed");
  return found->second;
}

Napi::Value EncoderTable::open(const Napi::CallbackInfo& info, PromiseWork& work) {
  const std::string sql = info[0].ToString().Utf8Value();
  std::shared_ptr<Request> request;
  try {
    request = std::make_shared<Request>(request_from_js(info));
  } catch (const BridgeError& error) {
    throw coded_error(info.Env(), error.code, error.what());
  }
  return work.start<uint32_t>(
      info.Env(),
      [all = encoders_, session = session_.get(), sql, request, id = next_++] {
        all->emplace(id, Entry{.encoder = std::make_unique<RowGroupEncoder>(*session, sql, std::move(request->plans), request->limits)});
        return id;
      },
      [](Napi::Env env, uint32_t& id) -> Napi::Value { return Napi::Number::New(env, id); });
}

Napi::Value EncoderTable::gather(const Napi::CallbackInfo& info, PromiseWork& work) {
  return work.start<RowGroupEncoder::Group>(
      info.Env(),
      [all = encoders_, id = id_of(info)] {
        Entry& at = entry(*all, id);
        const RowGroupEncoder::Group group = at.encoder->gather();
        at.gathered_bytes = group.bytes;
        return group;
      },
      [](Napi::Env env, RowGroupEncoder::Group& group) -> Napi::Value {
        const Napi::Object out = Napi::Object::New(env);
        out.Set("rows", group.rows);
        out.Set("bytes", static_cast<double>(group.bytes));
        return out;
      });
}

Napi::Value EncoderTable::encode(const Napi::CallbackInfo& info, PromiseWork& work) {
  auto pins = std::make_shared<Pins>();
  const Bytes out = pins->pin(info[1]);
  const auto slba = static_cast<uint64_t>(info[2].ToNumber().Int64Value());
  using Records = std::vector<wire::ChunkRecord>;
  return work.start<Records>(
      info.Env(),
      [all = encoders_, id = id_of(info), out, slba] {
        Entry& at = entry(*all, id);
        if (out.size < at.gathered_bytes) throw BridgeError("MR_INTERNAL", "the row group does not fit its region");
        // SAFETY: the caller gave the array to be written.
        return at.encoder->encode(const_cast<uint8_t*>(out.data), slba);
      },
      [pins](Napi::Env env, Records& records) { return records_to_js(env, records); });
}

Napi::Value EncoderTable::dictionary_bytes(const Napi::CallbackInfo& info, PromiseWork& work) {
  return work.start<uint64_t>(
      info.Env(), [all = encoders_, id = id_of(info), column = info[1].ToNumber().Uint32Value()] { return entry(*all, id).encoder->dictionary_bytes(column); },
      [](Napi::Env env, uint64_t& bytes) -> Napi::Value { return Napi::Number::New(env, static_cast<double>(bytes)); });
}

Napi::Value EncoderTable::encode_dictionary(const Napi::CallbackInfo& info, PromiseWork& work) {
  auto pins = std::make_shared<Pins>();
  const Bytes out = pins->pin(info[2]);
  const auto slba = static_cast<uint64_t>(info[3].ToNumber().Int64Value());
  using Records = std::vector<wire::ChunkRecord>;
  return work.start<Records>(
      info.Env(),
      [all = encoders_, id = id_of(info), column = info[1].ToNumber().Uint32Value(), out, slba] {
        const RowGroupEncoder& encoder = *entry(*all, id).encoder;
        if (out.size < encoder.dictionary_bytes(column)) throw BridgeError("MR_INTERNAL", "the dictionary does not fit its region");
        return Records{encoder.encode_dictionary(column, const_cast<uint8_t*>(out.data), slba)};
      },
      [pins](Napi::Env env, Records& records) { return records_to_js(env, records); });
}

Napi::Value EncoderTable::close(const Napi::CallbackInfo& info, PromiseWork& work) {
  return work.start<bool>(
      info.Env(), [all = encoders_, id = id_of(info)] { return all->erase(id) != 0; }, nothing);
}

}  // namespace millrace::bridge
