#include "core/device/backing_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "wire/wire.gen.h"

namespace millrace {

BackingFile BackingFile::open(const std::string& path, uint64_t capacity_bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) throw std::system_error(errno, std::generic_category(), "opening " + path);
  // Two devices on one file would hand out the same blocks twice.
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) throw std::system_error(errno, std::generic_category(), path + " is in use by another device");
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) throw std::system_error(errno, std::generic_category(), "fstat of " + path);
  auto bytes = static_cast<uint64_t>(st.st_size);
  if (bytes == 0) {
    bytes = capacity_bytes / kBlockBytes * kBlockBytes;
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) throw std::system_error(errno, std::generic_category(), "making " + path);
    if (::fsync(fd.get()) != 0) throw std::system_error(errno, std::generic_category(), "fsync of " + path);
  }
  if (bytes < kBlockBytes) throw std::invalid_argument(path + " holds less than one block");
  return BackingFile(std::move(fd), bytes / kBlockBytes);
}

uint32_t BackingFile::read(uint64_t slba, uint64_t count, void* to) const { return read_bytes(slba * kBlockBytes, count * kBlockBytes, to); }

uint32_t BackingFile::write(uint64_t slba, uint64_t count, const void* from) const { return write_bytes(slba * kBlockBytes, count * kBlockBytes, from); }

uint32_t BackingFile::read_bytes(uint64_t from, uint64_t bytes, void* to) const {
  auto* at = static_cast<std::byte*>(to);
  uint64_t left = bytes;
  auto offset = static_cast<off_t>(from);
  while (left > 0) {
    const ssize_t n = ::pread(fd_.get(), at, left, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EFAULT ? wire::kStatusDataTransferError : wire::kStatusUnrecoveredRead;
    if (n == 0) return wire::kStatusUnrecoveredRead;  // the file was cut behind our back
    at += n;
    offset += n;
    left -= static_cast<uint64_t>(n);
  }
  return wire::kStatusSuccess;
}

uint32_t BackingFile::write_bytes(uint64_t to, uint64_t bytes, const void* from) const {
  const auto* at = static_cast<const std::byte*>(from);
  uint64_t left = bytes;
  auto offset = static_cast<off_t>(to);
  while (left > 0) {
    const ssize_t n = ::pwrite(fd_.get(), at, left, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? wire::kStatusCapacityExceeded : wire::kStatusWriteFault;
    at += n;
    offset += n;
    left -= static_cast<uint64_t>(n);
  }
  return wire::kStatusSuccess;
}

uint32_t BackingFile::flush() const {
  if (::fdatasync(fd_.get()) == 0) return wire::kStatusSuccess;
  return errno == ENOSPC || errno == EDQUOT ? wire::kStatusCapacityExceeded : wire::kStatusWriteFault;
}

uint32_t BackingFile::discard(uint64_t slba, uint64_t count) const {
  const int rc = ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(slba * kBlockBytes), static_cast<off_t>(count * kBlockBytes));
  if (rc == 0) return wire::kStatusSuccess;
  return errno == EOPNOTSUPP ? write_zeros(slba, count) : wire::kStatusWriteFault;
}

uint32_t BackingFile::zero(uint64_t slba, uint64_t count) const {
  const int rc = ::fallocate(fd_.get(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(slba * kBlockBytes), static_cast<off_t>(count * kBlockBytes));
  if (rc == 0) return wire::kStatusSuccess;
  if (errno == ENOSPC || errno == EDQUOT) return wire::kStatusCapacityExceeded;
  return errno == EOPNOTSUPP ? write_zeros(slba, count) : wire::kStatusWriteFault;
}

uint32_t BackingFile::write_zeros(uint64_t slba, uint64_t count) const {
  static constexpr uint64_t kStepBlocks = 256;
  static const std::vector<std::byte> zeros(kStepBlocks * kBlockBytes);
  for (uint64_t at = 0; at < count; at += kStepBlocks)
    if (const uint32_t status = write(slba + at, std::min(kStepBlocks, count - at), zeros.data()); status != wire::kStatusSuccess) return status;
  return wire::kStatusSuccess;
}

UniqueFd BackingFile::reopen_read_only() const {
  const std::string path = "/proc/self/fd/" + std::to_string(fd_.get());
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw std::system_error(errno, std::generic_category(), "reopening the media read-only");
  return fd;
}

uint64_t BackingFile::used_bytes() const {
  struct stat st {};
  return ::fstat(fd_.get(), &st) == 0 ? std::min(static_cast<uint64_t>(st.st_blocks) * 512, blocks_ * kBlockBytes) : blocks_ * kBlockBytes;
}

}  // namespace millrace
