// A column's dictionary: values sorted by UTF-8 bytes, and from a value to its code.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace millrace::bridge {

class DictionaryIndex {
 public:
  // Adds a value behind the others. Throws BridgeError MR_INTERNAL when it is not larger than the last one.
  void add(const char* bytes, uint32_t length);
  // Builds the look-up; nothing is added after it.
  void finish();

  // The code of a value; -1: not in the dictionary.
  int64_t find(const char* bytes, uint32_t length) const;

  uint32_t entries() const { return static_cast<uint32_t>(offsets_.size() - 1); }
  const std::vector<int32_t>& offsets() const { return offsets_; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::vector<int32_t> offsets_ = {0};
  std::string bytes_;
  // Open addressing: code + 1, 0 free; at most half full.
  std::vector<uint32_t> slots_;
};

}  // namespace millrace::bridge
