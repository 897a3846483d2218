// Row-group encoders of one DuckDB object, known to JavaScript by number (native/encoder.ts wraps them).
#pragma once
#include <napi.h>

#include <memory>
#include <unordered_map>

#include "bridge/promise_work.h"
#include "bridge/row_group_encoder.h"
#include "bridge/session.h"

namespace millrace::bridge {

class EncoderTable {
 public:
  explicit EncoderTable(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  // (sql, columns, rowGroupRowsMax, rowGroupBytesMax) -> Promise<number>
  Napi::Value open(const Napi::CallbackInfo& info, PromiseWork& work);
  // (id) -> Promise<{ rows, bytes }>
  Napi::Value gather(const Napi::CallbackInfo& info, PromiseWork& work);
  // (id, out, slba) -> Promise<Uint8Array>: ChunkRecord[columns]
  Napi::Value encode(const Napi::CallbackInfo& info, PromiseWork& work);
  // (id, column) -> Promise<number>
  Napi::Value dictionary_bytes(const Napi::CallbackInfo& info, PromiseWork& work);
  // (id, column, out, slba) -> Promise<Uint8Array>: one ChunkRecord
  Napi::Value encode_dictionary(const Napi::CallbackInfo& info, PromiseWork& work);
  // (id) -> Promise<void>
  Napi::Value close(const Napi::CallbackInfo& info, PromiseWork& work);

  // After the session's thread ended, before the session goes.
  void clear() { encoders_->clear(); }

 private:
  struct Entry {
    std::unique_ptr<RowGroupEncoder> encoder;
    uint64_t gathered_bytes = 0;
  };
  using Entries = std::unordered_map<uint32_t, Entry>;
  static Entry& entry(Entries& entries, uint32_t id);

  std::shared_ptr<Session> session_;
  // Touched by the session's thread only.
  std::shared_ptr<Entries> encoders_ = std::make_shared<Entries>();
  uint32_t next_ = 1;
};

}  // namespace millrace::bridge
