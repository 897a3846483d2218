#include "core/device/backing_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

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

uint32_t BackingFile::read(uint64_t slba, uint64_t count, void* to) const {
  auto* at = static_cast<std::byte*>(to);
  uint64_t left = count * kBlockBytes;
  auto offset = static_cast<off_t>(slba * kBlockBytes);
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

uint32_t BackingFile::write(uint64_t slba, uint64_t count, const void* from) const {
  const auto* at = static_cast<const std::byte*>(from);
  uint64_t left = count * kBlockBytes;
  auto offset = static_cast<off_t>(slba * kBlockBytes);
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

}  // namespace millrace
