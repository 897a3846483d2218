#include "bridge/mapped_file.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "bridge/promise_work.h"

namespace millrace::bridge {

Napi::Value map_file(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int fd = info[0].ToNumber().Int32Value();
  struct stat status {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) throw coded_error(env, "MR_FILE_INVALID", "only a regular file can be mapped");
  const auto size = static_cast<size_t>(status.st_size);
  if (size == 0) return Napi::Uint8Array::New(env, 0);
  // Private and writable: JavaScript may write what it likes into its own view.
  void* bytes = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
  if (bytes == MAP_FAILED) throw coded_error(env, "MR_FILE_INVALID", std::string("the file cannot be mapped: ") + std::strerror(errno));
  madvise(bytes, size, MADV_SEQUENTIAL);
  const auto backing = Napi::ArrayBuffer::New(env, bytes, size, [size](Napi::Env, void* data) { munmap(data, size); });
  return Napi::Uint8Array::New(env, size, backing, 0);
}

}  // namespace millrace::bridge
