// A query's rows, in their order, as row groups of column chunks in the layout of scan.def.
#pragma once
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "bridge/encode_values.h"
#include "bridge/session.h"
#include "bridge/statement.h"

namespace millrace::bridge {

struct EncodeLimits {
  uint32_t row_group_rows_max = 0;
  // Bytes of a row group, blocks counted whole. A group ends early rather than exceed it.
  uint64_t row_group_bytes_max = 0;
};

// Everything on the session's thread.
class RowGroupEncoder {
 public:
  // LIFETIME: on a connection of its own, so that other statements do not end the stream. Throws BridgeError.
  RowGroupEncoder(Session& session, const std::string& sql, std::vector<ColumnPlan> plans, EncodeLimits limits);
  ~RowGroupEncoder();
  RowGroupEncoder(const RowGroupEncoder&) = delete;
  RowGroupEncoder& operator=(const RowGroupEncoder&) = delete;

  struct Group {
    uint32_t rows = 0;  // 0: no more
    uint64_t bytes = 0;
  };
  // Reads on until a row group is full or the rows end. Throws BridgeError MR_ROW_TOO_LARGE.
  Group gather();
  // Writes the gathered group to out[0 .. group.bytes), one chunk per column, and forgets it. slba: where out[0] will lie.
  std::vector<wire::ChunkRecord> encode(uint8_t* out, uint64_t slba);

  // Bytes of a dictionary as a chunk (utf8 layout), blocks counted whole.
  uint64_t dictionary_bytes(size_t column) const;
  wire::ChunkRecord encode_dictionary(size_t column, uint8_t* out, uint64_t slba) const;

 private:
  struct Part {
    size_t chunk;  // index into chunks_
    idx_t begin;
    idx_t end;
  };
  Piece piece(const Part& part, size_t column) const;
  // Size of the gathered rows plus `more` rows with these text bytes per column.
  uint64_t bytes_with(uint64_t more, const std::vector<uint64_t>& text) const;
  std::vector<uint64_t> text_of(const Part& part) const;
  // The longest beginning of the part that still fits, at least 0 rows.
  idx_t rows_that_fit(const Part& part) const;
  void take(const Part& part);
  bool next_chunk();
  // The next chunk, or the error that ended the query and not what its other threads say of it.
  Chunk fetch();
  [[noreturn]] void throw_cause();
  void forget();
  wire::ChunkRecord encode_column(size_t column, uint8_t* chunk) const;

  Session& session_;
  const DuckApi& api_;
  duckdb_connection connection_;
  std::string sql_;
  std::vector<ColumnPlan> plans_;
  EncodeLimits limits_;
  std::optional<Statement> statement_;
  std::optional<Result> result_;
  std::vector<int> sources_;
  std::deque<Chunk> chunks_;
  idx_t used_rows_ = 0;  // rows of chunks_.back() that are in a group already
  bool ended_ = false;
  std::vector<Part> parts_;
  uint32_t rows_ = 0;
  std::vector<uint64_t> text_bytes_;
};

}  // namespace millrace::bridge
