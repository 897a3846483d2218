/* What a tracked directory would lose if the power went now: every change not yet covered by a sync, in order, with
 * what it takes to undo it. Not thread-safe by itself: the caller holds the one lock. */
#ifndef LOST_WRITES_JOURNAL_H
#define LOST_WRITES_JOURNAL_H
#include <stdint.h>
#include <sys/types.h>

/* A file that was opened below the tracked directory, by inode. */
struct file;

/* The tracked file behind a descriptor, NULL for any other. Any thread, no lock: signal handlers write to pipes too. */
struct file *file_of(int fd);
/* Starts tracking; `fd` is open on a file below the tracked directory. */
struct file *file_track(int fd);

/* Before a write or truncation is done: keeps the old bytes of [offset, offset + length) and the old size. */
void journal_write(struct file *file, off_t offset, const void *data, size_t length);
void journal_resize(struct file *file, off_t length);
/* Changes of names. `kept`: a hard link that keeps what the change destroys; NULL where a rename destroys nothing. */
void journal_create(const char *path);
void journal_unlink(const char *path, const char *kept);
void journal_rename(const char *from, const char *to, const char *kept);

/* A sync returned: these are durable now. */
void journal_synced(struct file *file);
void journal_names_synced(void);

/* Takes every unsynced change back and lets a seeded, physically possible part of them happen again. */
void journal_power_cut(uint64_t seed);
#endif
