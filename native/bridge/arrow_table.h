// Column buffers of JavaScript, checked, ready for DuckDB to scan.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "bridge/table_type.h"

namespace millrace::bridge {

struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
};

// The i-th value. SAFETY: Arrow aligns buffers to 8 bytes, and the compiler would load 16-byte integers from multiples of 16 only.
template <typename Value>
Value value_at(const Bytes& bytes, int64_t i) {
  Value value;
  std::memcpy(&value, bytes.data + i * static_cast<int64_t>(sizeof(Value)), sizeof(Value));
  return value;
}

struct TableColumn {
  std::string name;
  std::string format;
  bool has_dictionary = false;
  // Dictionary values, utf8; the format is that of the codes.
  std::vector<uint64_t> dictionary_offsets;
  std::string dictionary_bytes;
};

struct TableBatch {
  int64_t rows = 0;
  // Per column validity (data nullptr: none), [offsets], data.
  std::vector<Bytes> buffers;
};

class ArrowTable {
 public:
  // Checks everything a scan trusts: buffer counts and lengths, offsets, dictionary codes, UTF-8, decimal ranges.
  // Throws BridgeError MR_TABLE_INVALID or MR_TYPE_UNSUPPORTED.
  // LIFETIME: the buffers stay where they are, unchanged, until the table is gone; the binding pins their ArrayBuffers.
  ArrowTable(std::vector<TableColumn> columns, std::vector<TableBatch> batches);

  const std::vector<TableColumn>& columns() const { return columns_; }
  const std::vector<TableBatch>& batches() const { return batches_; }
  const TableType& type(size_t column) const { return types_[column]; }
  // Index of a column's validity in TableBatch::buffers; its other buffers follow.
  size_t first_buffer(size_t column) const { return first_buffer_[column]; }
  uint64_t rows() const { return rows_; }

 private:
  std::vector<TableColumn> columns_;
  std::vector<TableBatch> batches_;
  std::vector<TableType> types_;
  std::vector<size_t> first_buffer_;
  uint64_t rows_ = 0;
};

}  // namespace millrace::bridge
