#define _GNU_SOURCE
#include "journal.h"

#include "real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Below this size a device writes whole or not at all. */
enum { SECTOR_BYTES = 512, FILES_MAX = 1024 };

enum kind { WRITE, RESIZE, CREATE, UNLINK, RENAME };

struct change {
  struct change *next, *previous;
  enum kind kind;
  uint64_t number; /* order among all changes */
  struct file *file; /* WRITE, RESIZE */
  off_t offset, length, old_size;
  size_t old_length; /* bytes that were there; the file may have ended before offset + length */
  unsigned char *old_bytes, *new_bytes;
  char *path, *to, *kept; /* CREATE, UNLINK, RENAME */
};

struct file {
  dev_t device;
  ino_t inode;
  int fd; /* our own, for the power cut */
};

static struct file files[FILES_MAX];
/* ORDER: an entry is complete before the count covers it, so file_of needs no lock. */
static _Atomic int file_count;
static struct change changes = {.next = &changes, .previous = &changes};
static uint64_t change_count;

static void fail(const char *what) {
  fprintf(stderr, "lost_writes: %s: %s\n", what, strerror(errno));
  abort();
}

static void *must(void *memory) {
  if (!memory) fail("no memory");
  return memory;
}

struct file *file_of(int fd) {
  struct stat st;
  if (file_count == 0 || fstat(fd, &st) != 0) return NULL;
  for (int i = 0; i < file_count; i++)
    if (files[i].inode == st.st_ino && files[i].device == st.st_dev) return &files[i];
  return NULL;
}

struct file *file_track(int fd) {
  struct file *known = file_of(fd);
  if (known) return known;
  struct stat st;
  if (file_count == FILES_MAX || fstat(fd, &st) != 0) fail("tracking a file");
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  /* Our own description keeps the inode alive and its number unique until the end. */
  int own = real_open(path, O_RDWR | O_CLOEXEC, 0);
  if (own < 0) fail("reopening a file");
  struct file *file = &files[file_count];
  *file = (struct file){st.st_dev, st.st_ino, own};
  file_count++;
  return file;
}

static struct change *append(enum kind kind) {
  struct change *c = must(calloc(1, sizeof *c));
  c->kind = kind;
  c->number = ++change_count;
  c->previous = changes.previous;
  c->next = &changes;
  changes.previous->next = c;
  changes.previous = c;
  return c;
}

static void forget(struct change *c) {
  c->previous->next = c->next;
  c->next->previous = c->previous;
  if (c->kept) real_unlink(c->kept);
  free(c->old_bytes);
  free(c->new_bytes);
  free(c->path);
  free(c->to);
  free(c->kept);
  free(c);
}

static size_t read_at(int fd, unsigned char *to, size_t length, off_t offset) {
  size_t done = 0;
  while (done < length) {
    ssize_t n = pread(fd, to + done, length - done, offset + (off_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("reading old bytes");
    if (n == 0) break;
    done += (size_t)n;
  }
  return done;
}

static void write_at(int fd, const unsigned char *from, size_t length, off_t offset) {
  for (size_t done = 0; done < length;) {
    ssize_t n = real_pwrite(fd, from + done, length - done, offset + (off_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("writing bytes back");
    done += (size_t)n;
  }
}

static struct change *append_data(enum kind kind, struct file *file, off_t offset, off_t length) {
  struct stat st;
  if (fstat(file->fd, &st) != 0) fail("fstat");
  struct change *c = append(kind);
  c->file = file;
  c->offset = offset;
  c->length = length;
  c->old_size = st.st_size;
  return c;
}

void journal_write(struct file *file, off_t offset, const void *data, size_t length) {
  struct change *c = append_data(WRITE, file, offset, (off_t)length);
  c->old_bytes = must(malloc(length + 1));
  c->old_length = read_at(file->fd, c->old_bytes, length, offset);
  c->new_bytes = must(malloc(length + 1));
  memcpy(c->new_bytes, data, length);
}

void journal_resize(struct file *file, off_t length) {
  struct change *c = append_data(RESIZE, file, length, length);
  if (c->old_size <= length) return;
  c->old_bytes = must(malloc((size_t)(c->old_size - length)));
  c->old_length = read_at(file->fd, c->old_bytes, (size_t)(c->old_size - length), length);
}

void journal_create(const char *path) { append(CREATE)->path = must(strdup(path)); }

void journal_unlink(const char *path, const char *kept) {
  struct change *c = append(UNLINK);
  c->path = must(strdup(path));
  c->kept = must(strdup(kept));
}

void journal_rename(const char *from, const char *to, const char *kept) {
  struct change *c = append(RENAME);
  c->path = must(strdup(from));
  c->to = must(strdup(to));
  if (kept) c->kept = must(strdup(kept));
}

static int is_data(const struct change *c) { return c->kind == WRITE || c->kind == RESIZE; }

void journal_synced(struct file *file) {
  for (struct change *c = changes.next, *next; c != &changes; c = next) {
    next = c->next;
    if (is_data(c) && c->file == file) forget(c);
  }
}

void journal_names_synced(void) {
  for (struct change *c = changes.next, *next; c != &changes; c = next) {
    next = c->next;
    if (!is_data(c)) forget(c);
  }
}

/* splitmix64 */
static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* The last change that reached the media for one thing (a sector, a size, the names): none, all, or up to a random one.
 * A page is written as it is at that moment, so a later change of a sector never arrives without the earlier ones;
 * between sectors there is no order. */
static uint64_t cut_of(uint64_t seed, uint64_t thing) {
  uint64_t r = mix(seed ^ mix(thing));
  switch (r % 3) {
    case 0: return 0;
    case 1: return change_count;
    default: return mix(r) % (change_count + 1);
  }
}

static void undo_data(const struct change *c) {
  if (c->kind == WRITE) {
    write_at(c->file->fd, c->old_bytes, c->old_length, c->offset);
    if (c->offset + c->length > c->old_size && real_ftruncate(c->file->fd, c->old_size) != 0) fail("undoing growth");
    return;
  }
  if (real_ftruncate(c->file->fd, c->old_size) != 0) fail("undoing a resize");
  if (c->old_bytes) write_at(c->file->fd, c->old_bytes, c->old_length, c->offset);
}

static void redo_data(const struct change *c, uint64_t seed) {
  uint64_t file_seed = seed ^ mix((uint64_t)(c->file - files) + 1);
  if (c->kind == RESIZE) {
    if (c->number <= cut_of(file_seed, 0) && real_ftruncate(c->file->fd, c->length) != 0) fail("redoing a resize");
    return;
  }
  for (off_t at = c->offset, end = c->offset + c->length; at < end;) {
    off_t sector_end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
    if (sector_end > end) sector_end = end;
    if (c->number <= cut_of(file_seed, (uint64_t)(at / SECTOR_BYTES) + 1))
      write_at(c->file->fd, c->new_bytes + (at - c->offset), (size_t)(sector_end - at), at);
    at = sector_end;
  }
}

static void undo_names(const struct change *c) {
  switch (c->kind) {
    case CREATE:
      if (real_unlink(c->path) != 0) fail("undoing a creation");
      return;
    case UNLINK:
      if (link(c->kept, c->path) != 0) fail("undoing an unlink");
      return;
    default:
      if (real_rename(c->to, c->path) != 0) fail("undoing a rename");
      if (c->kept && link(c->kept, c->to) != 0) fail("undoing a rename over a file");
  }
}

void journal_power_cut(uint64_t seed) {
  /* Names are journalled in order by the file system: what is lost of them is a tail. */
  uint64_t names_cut = cut_of(seed, UINT64_MAX);
  for (struct change *c = changes.previous; c != &changes; c = c->previous) {
    if (is_data(c)) undo_data(c);
    else if (c->number > names_cut) undo_names(c);
  }
  for (struct change *c = changes.next; c != &changes; c = c->next)
    if (is_data(c)) redo_data(c, seed);
}
