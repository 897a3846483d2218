import Sqlite, { type Database } from 'better-sqlite3';
import { MillraceError } from '../../pushdown/types/error.js';
import { sqliteBinding } from './sqlite-binding.js';

/** One of the daemon's SQLite files, its own while it is open. @throws MillraceError MR_STORE_LOCKED, MR_CATALOG_* */
export function openLocked(path: string): Database {
  const db = new Sqlite(path, { timeout: 0, ...sqliteBinding() });
  try {
    // Before the first access to the log: then its index lives in this process's heap and no -shm file is made.
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = ON');
    db.exec('BEGIN IMMEDIATE; COMMIT');
    return db;
  } catch (error) {
    db.close();
    throw translated(error);
  }
}

/** SQLite's errors as ours; others as they are. */
export function translated(error: unknown): unknown {
  if (!(error instanceof Sqlite.SqliteError)) return error;
  const code = error.code;
  if (code === 'SQLITE_FULL') return new MillraceError('MR_NO_SPACE', 'The file system under the catalog is full: free space and try again.', { cause: error, httpStatus: 507 });
  if (code.startsWith('SQLITE_BUSY')) return new MillraceError('MR_STORE_LOCKED', 'Another daemon works on this directory: stop it or choose another --dir.', { cause: error });
  if (code === 'SQLITE_CORRUPT' || code === 'SQLITE_NOTADB') return new MillraceError('MR_CATALOG_DAMAGED', 'The catalog cannot be read: restore catalog.db from a backup.', { cause: error });
  if (code.startsWith('SQLITE_IOERR') || code === 'SQLITE_CANTOPEN') return new MillraceError('MR_CATALOG_IO', `The catalog cannot be read or written (${code}).`, { cause: error });
  return error;
}
