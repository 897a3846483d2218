/* The C library's own functions behind the ones this shim replaces. */
#ifndef LOST_WRITES_REAL_H
#define LOST_WRITES_REAL_H
#include <dlfcn.h>
#include <sys/types.h>

#define REAL(result, name, symbol, parameters, arguments)                \
  static inline result real_##name parameters {                         \
    static result(*function) parameters;                                \
    if (!function) function = (result(*) parameters)dlsym(RTLD_NEXT, symbol); \
    return function arguments;                                          \
  }

REAL(int, open, "open64", (const char *path, int flags, mode_t mode), (path, flags, mode))
REAL(int, openat, "openat64", (int dir, const char *path, int flags, mode_t mode), (dir, path, flags, mode))
REAL(ssize_t, write, "write", (int fd, const void *from, size_t n), (fd, from, n))
REAL(ssize_t, pwrite, "pwrite64", (int fd, const void *from, size_t n, off_t at), (fd, from, n, at))
REAL(int, fsync, "fsync", (int fd), (fd))
REAL(int, fdatasync, "fdatasync", (int fd), (fd))
REAL(int, ftruncate, "ftruncate64", (int fd, off_t length), (fd, length))
REAL(int, rename, "rename", (const char *from, const char *to), (from, to))
REAL(int, unlink, "unlink", (const char *path), (path))
REAL(int, unlinkat, "unlinkat", (int dir, const char *path, int flags), (dir, path, flags))
REAL(void *, mmap, "mmap64", (void *at, size_t n, int protection, int flags, int fd, off_t offset), (at, n, protection, flags, fd, offset))
REAL(int, fallocate, "fallocate64", (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
REAL(ssize_t, sendfile, "sendfile64", (int to, int from, off_t *offset, size_t n), (to, from, offset, n))
#endif
