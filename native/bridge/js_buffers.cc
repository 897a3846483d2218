#include "bridge/js_buffers.h"

namespace millrace::bridge {

Napi::Value to_js(Napi::Env env, ByteBuffer& buffer) {
  const size_t size = buffer.size();
  if (size == 0) return Napi::Uint8Array::New(env, 0);
  // LIFETIME: the ArrayBuffer owns the block; its finalizer frees it.
  uint8_t* block = buffer.take();
  const auto backing = Napi::ArrayBuffer::New(env, block, size, [](Napi::Env, void* data) { std::free(data); });
  return Napi::Uint8Array::New(env, size, backing, 0);
}

Bytes Pins::pin(const Napi::Value& value) {
  if (value.IsNull() || value.IsUndefined()) return {};
  if (!value.IsTypedArray()) throw Napi::TypeError::New(value.Env(), "a buffer must be a Uint8Array or null");
  const auto array = value.As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_uint8_array) throw Napi::TypeError::New(value.Env(), "a buffer must be a Uint8Array or null");
  // LIFETIME: the reference keeps the backing store; callers do not detach or write while the table is registered.
  held_.push_back(Napi::Reference<Napi::Value>::New(value, 1));
  const auto bytes = array.As<Napi::Uint8Array>();
  static const uint8_t kNoBytes = 0;
  return {.data = bytes.ByteLength() == 0 ? &kNoBytes : bytes.Data(), .size = bytes.ByteLength()};
}

namespace {

std::string text_of(const Napi::Object& object, const char* field) {
  const Napi::Value value = object.Get(field);
  if (!value.IsString()) throw Napi::TypeError::New(object.Env(), std::string(field) + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

Napi::Array array_of(const Napi::Value& value, const char* what) {
  if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), std::string(what) + " must be an array");
  return value.As<Napi::Array>();
}

}  // namespace

std::vector<TableColumn> columns_from_js(const Napi::Value& value) {
  const Napi::Array list = array_of(value, "columns");
  std::vector<TableColumn> columns(list.Length());
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Object from = list.Get(i).ToObject();
    TableColumn& column = columns[i];
    column.name = text_of(from, "name");
    column.format = text_of(from, "format");
    const Napi::Value dictionary = from.Get("dictionary");
    if (dictionary.IsUndefined()) continue;
    const Napi::Array values = array_of(dictionary, "dictionary");
    column.has_dictionary = true;
    column.dictionary_offsets.push_back(0);
    for (uint32_t k = 0; k < values.Length(); k++) {
      column.dictionary_bytes += values.Get(k).ToString().Utf8Value();
      column.dictionary_offsets.push_back(column.dictionary_bytes.size());
    }
  }
  return columns;
}

std::vector<TableBatch> batches_from_js(const Napi::Value& value, Pins& pins) {
  const Napi::Array list = array_of(value, "batches");
  std::vector<TableBatch> batches(list.Length());
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::HandleScope scope(value.Env());
    const Napi::Object from = list.Get(i).ToObject();
    batches[i].rows = from.Get("rows").ToNumber().Int64Value();
    const Napi::Array buffers = array_of(from.Get("buffers"), "buffers");
    for (uint32_t b = 0; b < buffers.Length(); b++) batches[i].buffers.push_back(pins.pin(buffers.Get(b)));
  }
  return batches;
}

}  // namespace millrace::bridge
