// A namespace of blocks on a file: 4 KiB blocks, synchronous positional I/O. Write, then Flush (fdatasync), is the only promise.
#pragma once
#include <cstdint>
#include <string>

#include "core/limits.h"
#include "core/unique_fd.h"

namespace millrace {

class BackingFile {
 public:
  /** Opens, or creates with `capacity_bytes` (sparse, rounded down to blocks). An existing file keeps its size. Throws std::system_error, std::invalid_argument. */
  static BackingFile open(const std::string& path, uint64_t capacity_bytes);

  uint64_t blocks() const { return blocks_; }
  /** Where it lies on the modelled media, which all namespaces share. */
  uint64_t media_at() const { return media_at_; }
  void lie_at(uint64_t media_at) { media_at_ = media_at; }
  /** The blocks exist. */
  bool contains(uint64_t slba, uint64_t count) const { return count <= blocks_ && slba <= blocks_ - count; }

  /** wire::Status. The range must be contained. */
  uint32_t read(uint64_t slba, uint64_t count, void* to) const;
  uint32_t write(uint64_t slba, uint64_t count, const void* from) const;
  /** The same of any bytes within the blocks. */
  uint32_t read_bytes(uint64_t offset, uint64_t bytes, void* to) const;
  uint32_t write_bytes(uint64_t offset, uint64_t bytes, const void* from) const;
  uint32_t flush() const;
  /** The blocks read as zeros and need no room any more. */
  uint32_t discard(uint64_t slba, uint64_t count) const;
  /** The blocks read as zeros and keep their room where the file system can do that. */
  uint32_t zero(uint64_t slba, uint64_t count) const;
  /** A second descriptor that can be neither written nor mapped writable. Throws std::system_error. */
  UniqueFd reopen_read_only() const;
  /** Bytes the file system holds for it. */
  uint64_t used_bytes() const;

 private:
  uint32_t write_zeros(uint64_t slba, uint64_t count) const;
  BackingFile(UniqueFd fd, uint64_t blocks) : fd_(std::move(fd)), blocks_(blocks) {}
  UniqueFd fd_;
  uint64_t blocks_;
  uint64_t media_at_ = 0;
};

}  // namespace millrace
