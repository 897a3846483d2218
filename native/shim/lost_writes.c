/* LD_PRELOAD shim that makes a power cut: the files directly in LOST_WRITES_DIR lose what no sync covered.
 *
 * Kill -9 alone shows no lost write, because the page cache outlives the process. Here every write, truncation, creation,
 * rename and unlink is journalled until an fsync or fdatasync covers it. At the LOST_WRITES_CUT-th such call (syncs count
 * too) all of it is taken back, a part chosen by LOST_WRITES_SEED happens again, torn at 512 bytes and out of order, and
 * the process is killed. LOST_WRITES_IGNORE_SYNC=1 makes syncs lie: a test that does not fail then tests nothing.
 * LOST_WRITES_FULL_CALLS calls from the LOST_WRITES_FULL_FROM-th on find the disk full (ENOSPC) instead of writing.
 * At a normal exit "lost_writes: calls N" on stderr tells how many calls there are to cut at.
 *
 * What would slip past the journal (shared writable mappings, fallocate, sendfile into a tracked file) aborts instead. */
#define _GNU_SOURCE
#include "journal.h"
#include "real.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX];
static char graveyard[PATH_MAX + 8];
static uint64_t seed, cut, full_from, full_calls, calls, graves;
static int ignore_sync;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* A fork while another thread is inside would leave the child's copy of the lock taken for ever. The child itself is a
 * bystander: it loses no power. */
static void before_fork(void) { pthread_mutex_lock(&lock); }
static void in_parent(void) { pthread_mutex_unlock(&lock); }
static void in_child(void) {
  root[0] = 0;
  pthread_mutex_unlock(&lock);
}

static uint64_t number_of(const char *name) {
  const char *text = getenv(name);
  return text ? strtoull(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void start(void) {
  const char *dir = getenv("LOST_WRITES_DIR");
  if (!dir || !realpath(dir, root)) {
    root[0] = 0;
    return;
  }
  snprintf(graveyard, sizeof graveyard, "%s.lost", root);
  mkdir(graveyard, 0700);
  seed = number_of("LOST_WRITES_SEED");
  cut = number_of("LOST_WRITES_CUT");
  full_from = number_of("LOST_WRITES_FULL_FROM");
  full_calls = number_of("LOST_WRITES_FULL_CALLS");
  ignore_sync = number_of("LOST_WRITES_IGNORE_SYNC") != 0;
  pthread_atfork(before_fork, in_parent, in_child);
  /* One process loses power; its children write nothing here. */
  unsetenv("LD_PRELOAD");
  unsetenv("LOST_WRITES_DIR");
}

__attribute__((destructor)) static void report(void) {
  if (root[0]) fprintf(stderr, "lost_writes: calls %llu\n", (unsigned long long)calls);
}

/* Enters the lock for one journalled call; the power may go before it. */
static void enter(void) {
  pthread_mutex_lock(&lock);
  if (++calls != cut) return;
  journal_power_cut(seed);
  kill(getpid(), SIGKILL);
  for (;;) pause();
}
static void leave(void) { pthread_mutex_unlock(&lock); }

static int is_directly_below(const char *path) {
  size_t n = strlen(root);
  return n > 0 && strncmp(path, root, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

/* Absolute path of what `dir` and `path` name, its last part unresolved. 0: there is no such directory. */
static int absolute(int dir, const char *path, char *out) {
  char full[PATH_MAX * 2], parent[PATH_MAX];
  if (root[0] == 0) return 0;
  if (path[0] == '/' || dir == AT_FDCWD) snprintf(full, sizeof full, "%s%s", path[0] == '/' ? "" : "./", path);
  else snprintf(full, sizeof full, "/proc/self/fd/%d/%s", dir, path);
  char *slash = strrchr(full, '/');
  const char *name = slash + 1;
  *slash = 0;
  if (!realpath(full[0] ? full : "/", parent)) return 0;
  return snprintf(out, PATH_MAX, "%s/%s", parent, name) < PATH_MAX;
}

static int refuse(const char *what) {
  fprintf(stderr, "lost_writes: %s on a tracked file cannot be journalled\n", what);
  abort();
}

/* Takes no lock: a signal may come while this thread holds it, and its handler may write to a pipe. */
static struct file *tracked(int fd) { return root[0] ? file_of(fd) : NULL; }

/* A link that keeps what is at path; NULL when nothing is. */
static const char *keep(const char *path, char *out) {
  snprintf(out, PATH_MAX + 32, "%s/%d-%llu", graveyard, (int)getpid(), (unsigned long long)++graves);
  return link(path, out) == 0 ? out : NULL;
}

/* ---- opening ---- */

static int open_tracked(int dir, const char *path, int flags, mode_t mode) {
  char name[PATH_MAX];
  int writable = (flags & O_ACCMODE) != O_RDONLY;
  if ((flags & (O_DIRECTORY | O_PATH)) || (flags & O_TMPFILE) == O_TMPFILE || !(writable || (flags & O_CREAT)) || !absolute(dir, path, name) || !is_directly_below(name))
    return real_openat(dir, path, flags, mode);
  if (flags & (O_DSYNC | O_SYNC)) refuse("O_SYNC");
  struct stat st;
  int existed = stat(name, &st) == 0;
  if (existed && !S_ISREG(st.st_mode)) return real_openat(dir, path, flags, mode);
  enter();
  int fd = real_openat(dir, path, flags & ~O_TRUNC, mode);
  if (fd >= 0) {
    struct file *file = file_track(fd);
    if (!existed) journal_create(name);
    if (flags & O_TRUNC) {
      journal_resize(file, 0);
      if (real_ftruncate(fd, 0) != 0) refuse("failing O_TRUNC");
    }
  }
  leave();
  return fd;
}

#define OPEN(name, parameters, dir)                              \
  int name parameters {                                         \
    mode_t mode = 0;                                            \
    if (flags & (O_CREAT | O_TMPFILE)) {                        \
      va_list more;                                             \
      va_start(more, flags);                                    \
      mode = va_arg(more, mode_t);                              \
      va_end(more);                                             \
    }                                                           \
    return open_tracked(dir, path, flags, mode);                \
  }
OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int dir, const char *path, int flags, ...), dir)
OPEN(openat64, (int dir, const char *path, int flags, ...), dir)

/* ---- data ---- */

static ssize_t write_tracked(struct file *file, int fd, const void *from, size_t n, off_t at) {
  enter();
  ssize_t done = -1;
  int full = full_from > 0 && calls >= full_from && calls - full_from < full_calls;
  if (!full) {
    journal_write(file, at, from, n);
    done = real_pwrite(fd, from, n, at);
  }
  leave();
  if (full) errno = ENOSPC;
  return done;
}

ssize_t pwrite64(int fd, const void *from, size_t n, off_t at) {
  struct file *file = tracked(fd);
  return file ? write_tracked(file, fd, from, n, at) : real_pwrite(fd, from, n, at);
}
ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { return pwrite64(fd, from, n, at); }

ssize_t write(int fd, const void *from, size_t n) {
  struct file *file = tracked(fd);
  if (!file) return real_write(fd, from, n);
  int append = fcntl(fd, F_GETFL) & O_APPEND;
  off_t at = lseek(fd, 0, append ? SEEK_END : SEEK_CUR);
  ssize_t done = write_tracked(file, fd, from, n, at);
  if (done > 0) lseek(fd, at + done, SEEK_SET);
  return done;
}

/* A short write is a legal answer: the caller goes on with the rest. */
static const struct iovec *first_of(const struct iovec *parts, int count) {
  while (count-- > 1 && parts->iov_len == 0) parts++;
  return parts;
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) {
  const struct iovec *part = first_of(parts, count);
  return pwrite64(fd, part->iov_base, part->iov_len, at);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev64(fd, parts, count, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
  static ssize_t (*real)(int, const struct iovec *, int);
  if (!real) real = (ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
  if (!tracked(fd)) return real(fd, parts, count);
  const struct iovec *part = first_of(parts, count);
  return write(fd, part->iov_base, part->iov_len);
}

int ftruncate64(int fd, off_t length) {
  struct file *file = tracked(fd);
  if (!file) return real_ftruncate(fd, length);
  enter();
  journal_resize(file, length);
  int result = real_ftruncate(fd, length);
  leave();
  return result;
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

/* ---- syncs: the journal decides what is durable, the real call would only cost time ---- */

static int sync_tracked(int fd, int (*real)(int)) {
  struct stat st;
  struct file *file = tracked(fd);
  int names = !file && root[0] && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
  if (!file && !names) return real(fd);
  enter();
  if (!ignore_sync) {
    if (file) journal_synced(file);
    else journal_names_synced();
  }
  leave();
  return 0;
}
int fsync(int fd) { return sync_tracked(fd, real_fsync); }
int fdatasync(int fd) { return sync_tracked(fd, real_fdatasync); }

/* ---- names ---- */

int unlinkat(int dir, const char *path, int flags) {
  char name[PATH_MAX], kept[PATH_MAX + 32];
  if ((flags & AT_REMOVEDIR) || !absolute(dir, path, name) || !is_directly_below(name)) return real_unlinkat(dir, path, flags);
  enter();
  const char *link_kept = keep(name, kept);
  int result = real_unlinkat(dir, path, flags);
  if (result == 0 && link_kept) journal_unlink(name, link_kept);
  else if (link_kept) real_unlink(link_kept);
  leave();
  return result;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int rename(const char *from, const char *to) {
  char from_name[PATH_MAX], to_name[PATH_MAX], kept[PATH_MAX + 32];
  if (!absolute(AT_FDCWD, from, from_name) || !absolute(AT_FDCWD, to, to_name) || !(is_directly_below(from_name) || is_directly_below(to_name))) return real_rename(from, to);
  enter();
  const char *link_kept = keep(to_name, kept);
  int result = real_rename(from, to);
  if (result == 0) journal_rename(from_name, to_name, link_kept);
  else if (link_kept) real_unlink(link_kept);
  leave();
  return result;
}

/* ---- what must not slip past ---- */

void *mmap64(void *at, size_t n, int protection, int flags, int fd, off_t offset) {
  if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE) && tracked(fd)) refuse("a shared writable mapping");
  return real_mmap(at, n, protection, flags, fd, offset);
}
void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset) { return mmap64(at, n, protection, flags, fd, offset); }
int fallocate64(int fd, int mode, off_t offset, off_t length) {
  if (tracked(fd)) refuse("fallocate");
  return real_fallocate(fd, mode, offset, length);
}
int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }
ssize_t sendfile64(int to, int from, off_t *offset, size_t n) {
  if (tracked(to)) refuse("sendfile");
  return real_sendfile(to, from, offset, n);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t n) { return sendfile64(to, from, offset, n); }
