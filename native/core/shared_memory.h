// A memfd and its mapping. Sealed against resizing: a peer that truncates it would kill us with SIGBUS.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/unique_fd.h"

namespace millrace {

class SharedMemory {
 public:
  SharedMemory() = default;
  /** New zeroed memory of `bytes` (rounded up to pages), sealed F_SEAL_SHRINK|GROW|SEAL. Throws std::system_error. */
  static SharedMemory create(const char* name, uint64_t bytes);
  /** Maps memory somebody else made. Throws std::system_error, std::invalid_argument if it is smaller than `bytes` or not sealed. */
  static SharedMemory adopt(UniqueFd fd, uint64_t bytes);

  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  std::byte* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  int fd() const { return fd_.get(); }
  /** A second descriptor of the same memory that cannot be mapped writable. */
  UniqueFd reopen_read_only() const;

 private:
  SharedMemory(UniqueFd fd, uint64_t bytes);
  UniqueFd fd_;
  std::byte* data_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace millrace
