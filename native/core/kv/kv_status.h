// What SQLite says, as a status of the KV command set.
#pragma once
#include "sqlite3.h"
#include "wire/wire.gen.h"

namespace millrace {

inline uint32_t kv_status_of(int code) {
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return wire::kStatusSuccess;
    case SQLITE_FULL: return wire::kStatusCapacityExceeded;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return wire::kStatusUnrecoveredError;
    case SQLITE_IOERR:
      switch (code) {
        case SQLITE_IOERR_READ:
        case SQLITE_IOERR_SHORT_READ:
        case SQLITE_IOERR_CORRUPTFS: return wire::kStatusUnrecoveredError;
        case SQLITE_IOERR_NOMEM: return wire::kStatusInternalError;
        default: return wire::kStatusWriteFault;
      }
    default: return wire::kStatusInternalError;
  }
}

}  // namespace millrace
