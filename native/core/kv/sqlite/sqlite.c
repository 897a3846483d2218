/* SQLite's amalgamation as better-sqlite3 delivers it, with what the KV store needs. Its symbols stay inside: Node exports those of an
 * SQLite of its own, and a call bound to that one would find structures of another version. */
#define SQLITE_API __attribute__((visibility("hidden")))
#define SQLITE_THREADSAFE 2 /* a connection belongs to one thread */
#define SQLITE_DEFAULT_MEMSTATUS 0
#define SQLITE_DQS 0
#define SQLITE_MAX_MMAP_SIZE 0 /* a damaged or truncated file is an error code, not a SIGBUS */
#define SQLITE_OMIT_DEPRECATED
#define SQLITE_OMIT_LOAD_EXTENSION
#define SQLITE_OMIT_SHARED_CACHE
#define SQLITE_TEMP_STORE 3
#include "sqlite3.c"
