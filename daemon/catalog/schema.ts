import type { Database } from 'better-sqlite3';
import { MillraceError } from '../../pushdown/types/error.js';

/** One entry per version of the catalog; entry i brings user_version i to i + 1. Never edited once released. */
const migrations: readonly string[] = [
  `
  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO counters VALUES ('nextHandle', 1);
  CREATE TABLE datasets (
    handle INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    row_groups INTEGER NOT NULL,
    row_group_rows_max INTEGER NOT NULL,
    columns TEXT NOT NULL
  ) STRICT;
  CREATE TABLE chunk_records (
    handle INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    column_index INTEGER NOT NULL,
    records BLOB NOT NULL,
    dictionary BLOB,
    PRIMARY KEY (handle, column_index)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE extents (
    slba INTEGER PRIMARY KEY,
    blocks INTEGER NOT NULL,
    handle INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX extents_of_dataset ON extents (handle);
  `,
];

/** Brings the catalog to this version, all steps or none. */
export function migrate(db: Database): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > migrations.length)
    throw new MillraceError('MR_CATALOG_NEWER', `The catalog has version ${version}, this daemon knows up to ${migrations.length}: start the newer daemon that wrote it.`);
  if (version === migrations.length) return;
  db.transaction(() => {
    for (const step of migrations.slice(version)) db.exec(step);
    db.pragma(`user_version = ${migrations.length}`);
  })();
}
