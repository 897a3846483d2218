// A key of the KV namespace: 1 to 16 bytes, compared byte by byte, a prefix first.
#pragma once
#include <array>
#include <cstring>

#include "core/limits.h"
#include "wire/wire.gen.h"

namespace millrace {

struct KvKey {
  std::array<unsigned char, kKvKeyBytesMax> bytes{};
  uint32_t length = 0;

  /** KV command set 1.0, 3.1: bytes 0..7 in cdw2-3, 8..15 in cdw14-15. A length above 16 stays as it is, for the caller to refuse. */
  static KvKey of(const wire::Sqe& sqe) {
    KvKey key;
    std::memcpy(key.bytes.data(), &sqe.cdw2, 4);
    std::memcpy(key.bytes.data() + 4, &sqe.cdw3, 4);
    std::memcpy(key.bytes.data() + 8, &sqe.cdw14, 4);
    std::memcpy(key.bytes.data() + 12, &sqe.cdw15, 4);
    key.length = sqe.cdw11 & 0xffu;
    return key;
  }
};

}  // namespace millrace
