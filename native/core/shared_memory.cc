#include "core/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace millrace {

namespace {
[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }
}  // namespace

SharedMemory::SharedMemory(UniqueFd fd, uint64_t bytes) : fd_(std::move(fd)), bytes_(bytes) {
  void* at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (at == MAP_FAILED) fail("mmap of shared memory");
  data_ = static_cast<std::byte*>(at);
}

SharedMemory SharedMemory::create(const char* name, uint64_t bytes) {
  bytes = (bytes + 4095) & ~4095ull;
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) fail("memfd_create");
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) fail("ftruncate of a memfd");
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) fail("F_ADD_SEALS");
  return SharedMemory(std::move(fd), bytes);
}

SharedMemory SharedMemory::adopt(UniqueFd fd, uint64_t bytes) {
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) fail("fstat of shared memory");
  if (static_cast<uint64_t>(st.st_size) < bytes) throw std::invalid_argument("shared memory is smaller than announced");
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) throw std::invalid_argument("shared memory is not sealed against shrinking");
  return SharedMemory(std::move(fd), bytes);
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::move(other.fd_)), data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  if (this != &other) {
    if (data_) ::munmap(data_, bytes_);
    fd_ = std::move(other.fd_);
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

SharedMemory::~SharedMemory() {
  if (data_) ::munmap(data_, bytes_);
}

UniqueFd SharedMemory::reopen_read_only() const {
  const std::string path = "/proc/self/fd/" + std::to_string(fd_.get());
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) fail("reopening shared memory read-only");
  return fd;
}

}  // namespace millrace
