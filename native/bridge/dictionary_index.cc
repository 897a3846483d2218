#include "bridge/dictionary_index.h"

#include <nmmintrin.h>

#include <bit>
#include <cstring>
#include <string_view>

#include "bridge/bridge_error.h"

namespace millrace::bridge {

namespace {

uint64_t hash(const char* bytes, uint32_t length) {
  uint64_t state = length * 0x9e3779b97f4a7c15ull;
  uint32_t i = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes + i, 8);
    state = (_mm_crc32_u64(state, word) << 32 | (state >> 32)) ^ word;
  }
  uint64_t last = 0;
  std::memcpy(&last, bytes + i, length - i);
  return (_mm_crc32_u64(state, last) ^ last) * 0x9e3779b97f4a7c15ull ^ (state >> 29);
}

}  // namespace

void DictionaryIndex::add(const char* bytes, uint32_t length) {
  if (offsets_.size() > 1) {
    const auto from = static_cast<size_t>(offsets_[offsets_.size() - 2]);
    // string_view compares bytes as unsigned.
    if (std::string_view(bytes, length) <= std::string_view(bytes_).substr(from)) throw BridgeError("MR_INTERNAL", "dictionary values are not sorted");
  }
  bytes_.append(bytes, length);
  if (bytes_.size() > INT32_MAX) throw BridgeError("MR_INTERNAL", "a dictionary is longer than 2 GiB");
  offsets_.push_back(static_cast<int32_t>(bytes_.size()));
}

void DictionaryIndex::finish() {
  slots_.assign(std::bit_ceil(size_t{2} * entries() + 2), 0);
  const size_t mask = slots_.size() - 1;
  for (uint32_t code = 0; code < entries(); code++) {
    size_t at = hash(bytes_.data() + offsets_[code], static_cast<uint32_t>(offsets_[code + 1] - offsets_[code])) & mask;
    while (slots_[at] != 0) at = (at + 1) & mask;
    slots_[at] = code + 1;
  }
}

int64_t DictionaryIndex::find(const char* bytes, uint32_t length) const {
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash(bytes, length) & mask; slots_[at] != 0; at = (at + 1) & mask) {
    const uint32_t code = slots_[at] - 1;
    const auto from = offsets_[code];
    if (static_cast<uint32_t>(offsets_[code + 1] - from) == length && std::memcmp(bytes_.data() + from, bytes, length) == 0) return code;
  }
  return -1;
}

}  // namespace millrace::bridge
