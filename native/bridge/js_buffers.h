// Byte buffers across the seam, without copying.
#pragma once
#include <napi.h>

#include <string>
#include <vector>

#include "bridge/arrow_table.h"
#include "bridge/byte_buffer.h"

namespace millrace::bridge {

// A Uint8Array that owns what the buffer held.
Napi::Value to_js(Napi::Env env, ByteBuffer& buffer);

// JavaScript values kept alive while native code reads the memory behind them. Made and destroyed on the event loop.
class Pins {
 public:
  // The bytes of a Uint8Array, or nullptr for null/undefined. Throws a TypeError otherwise.
  Bytes pin(const Napi::Value& value);

 private:
  std::vector<Napi::Reference<Napi::Value>> held_;
};

// DuckColumn[] and DuckBatch[] of native/index.ts. The bytes are pinned, not copied.
std::vector<TableColumn> columns_from_js(const Napi::Value& value);
std::vector<TableBatch> batches_from_js(const Napi::Value& value, Pins& pins);

}  // namespace millrace::bridge
