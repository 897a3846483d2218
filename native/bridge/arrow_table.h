// Column buffers of JavaScript as an Arrow stream that DuckDB may scan any number of times, also several times at once.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bridge/arrow_c.h"

namespace millrace::bridge {

struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

struct TableColumn {
  std::string name;
  std::string format;
  bool has_dictionary = false;
  // Dictionary values, utf8.
  std::vector<int32_t> dictionary_offsets;
  std::string dictionary_bytes;
};

struct TableBatch {
  int64_t rows = 0;
  // Per column validity (data nullptr: none), [offsets], data.
  std::vector<Bytes> buffers;
};

class ArrowTable {
 public:
  // LIFETIME: the buffers stay where they are, unchanged, until the table is gone; the binding pins their ArrayBuffers.
  ArrowTable(std::vector<TableColumn> columns, std::vector<TableBatch> batches);

  // Checks everything DuckDB would trust: buffer counts and lengths, offsets, dictionary codes, UTF-8.
  // Throws BridgeError MR_TABLE_INVALID or MR_TYPE_UNSUPPORTED.
  void validate() const;

  // LIFETIME: as long as the table.
  ArrowArrayStream* stream() { return &stream_; }

  const std::vector<TableColumn>& columns() const { return columns_; }
  const std::vector<TableBatch>& batches() const { return batches_; }
  // Buffers per row batch of a column: 2, or 3 with offsets.
  static size_t buffer_count(const TableColumn& column);

 private:
  std::vector<TableColumn> columns_;
  std::vector<TableBatch> batches_;
  ArrowArrayStream stream_;
};

}  // namespace millrace::bridge
