import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { MillraceError } from '../../pushdown/types/error.js';
import { openLocked, translated } from '../catalog/open.js';

/** A stored kernel. What its bytes mean is for slots and clients to find out: nobody here looks into them. */
export interface StoredKernel {
  readonly name: string;
  /** SHA-256 of the module, hex. */
  readonly digest: string;
  readonly bytes: number;
  readonly tenant: string;
  readonly pushedBy: string;
  readonly pushedAtMs: number;
}

export const kernelsMax = 4096;
/** Bytes of all stored modules. */
export const kernelBytesTotalMax = 2 ** 30;

const allowed = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const schemaVersion = 1;
const ddl = `
  CREATE TABLE kernels (
    key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    pushed_by TEXT NOT NULL,
    pushed_at_ms INTEGER NOT NULL,
    wasm BLOB NOT NULL
  ) STRICT;
`;
const columns = 'name, digest, bytes, tenant, pushed_by AS pushedBy, pushed_at_ms AS pushedAtMs';

/**
 * Kernels by name (compared without case, as SQL compares function names) in kernels.db beside the catalog: write-ahead log,
 * synchronous=FULL. A push is one transaction: afterwards the kernel is on the media whole, or the one before it is.
 */
export class KernelStore {
  readonly #db: Database;

  private constructor(db: Database) {
    this.#db = db;
  }

  /** @throws MillraceError MR_STORE_LOCKED, MR_CATALOG_NEWER, MR_CATALOG_DAMAGED, MR_CATALOG_IO */
  static open(dir: string): KernelStore {
    const db = openLocked(join(dir, 'kernels.db'));
    try {
      const version = db.pragma('user_version', { simple: true }) as number;
      if (version > schemaVersion) throw new MillraceError('MR_CATALOG_NEWER', `kernels.db has version ${version}, this daemon knows up to ${schemaVersion}: start the newer daemon that wrote it.`);
      if (version === 0) {
        db.transaction(() => {
          db.exec(ddl);
          db.pragma(`user_version = ${schemaVersion}`);
        })();
      }
      return new KernelStore(db);
    } catch (error) {
      db.close();
      throw translated(error);
    }
  }

  /** By name. */
  list(): StoredKernel[] {
    return this.#read(() => this.#db.prepare(`SELECT ${columns} FROM kernels ORDER BY key`).all() as StoredKernel[]);
  }

  /** @throws MillraceError MR_KERNEL_NOT_FOUND */
  get(name: string): StoredKernel {
    const found = this.#find(name);
    if (!found) throw notFound(name);
    return found;
  }

  /** The module's bytes. @throws MillraceError MR_KERNEL_NOT_FOUND */
  module(name: string): Buffer {
    const row = this.#read(() => this.#db.prepare('SELECT wasm FROM kernels WHERE key = ?').get(keyOf(name)) as { wasm: Buffer } | undefined);
    if (!row) throw notFound(name);
    return row.wasm;
  }

  /**
   * Stores a kernel; another tenant's is not replaced. @throws MillraceError MR_KERNEL_NAME, MR_KERNEL_EXISTS, MR_KERNEL_LIMIT,
   * MR_FORBIDDEN, MR_NO_SPACE, MR_CATALOG_IO
   */
  push(kernel: { readonly name: string; readonly wasm: Uint8Array; readonly tenant: string; readonly pushedBy: string; readonly mayReplaceOthers: boolean; readonly replace: boolean; readonly nowMs: number }): StoredKernel {
    const { name, wasm, tenant, pushedBy, nowMs } = kernel;
    if (!allowed.test(name)) throw new MillraceError('MR_KERNEL_NAME', 'A kernel name is 1 to 64 letters, digits or "_" and starts with a letter or "_": it is a name in SQL.', { field: 'name', httpStatus: 400 });
    const current = this.#find(name);
    if (current && !kernel.replace) throw new MillraceError('MR_KERNEL_EXISTS', `A kernel '${current.name}' exists: choose another name or replace it.`, { field: 'name', httpStatus: 409 });
    if (current) mayChange(current, kernel);
    const { count, bytes } = this.#read(() => this.#db.prepare('SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM kernels').get() as { count: number; bytes: number });
    if ((!current && count >= kernelsMax) || bytes - (current?.bytes ?? 0) + wasm.byteLength > kernelBytesTotalMax)
      throw new MillraceError('MR_KERNEL_LIMIT', `The device stores ${kernelsMax} kernels of ${kernelBytesTotalMax} bytes in all: remove some.`, { httpStatus: 507 });
    const stored: StoredKernel = { name, digest: createHash('sha256').update(wasm).digest('hex'), bytes: wasm.byteLength, tenant, pushedBy, pushedAtMs: nowMs };
    this.#read(() =>
      this.#db
        .prepare('INSERT OR REPLACE INTO kernels (key, name, digest, bytes, tenant, pushed_by, pushed_at_ms, wasm) VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
        .run(keyOf(name), name, stored.digest, stored.bytes, tenant, pushedBy, nowMs, wasm),
    );
    return stored;
  }

  /** @throws MillraceError MR_KERNEL_NOT_FOUND, MR_FORBIDDEN, MR_CATALOG_IO */
  remove(name: string, who: { readonly tenant: string; readonly mayReplaceOthers: boolean }): void {
    mayChange(this.get(name), who);
    this.#read(() => this.#db.prepare('DELETE FROM kernels WHERE key = ?').run(keyOf(name)));
  }

  close(): void {
    this.#db.close();
  }

  #find(name: string): StoredKernel | undefined {
    return this.#read(() => this.#db.prepare(`SELECT ${columns} FROM kernels WHERE key = ?`).get(keyOf(name)) as StoredKernel | undefined);
  }

  #read<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw translated(error);
    }
  }
}

const keyOf = (name: string): string => name.toLowerCase();
const notFound = (name: string) => new MillraceError('MR_KERNEL_NOT_FOUND', `There is no kernel '${name}'.`, { field: 'name', httpStatus: 404 });

function mayChange(current: StoredKernel, who: { readonly tenant: string; readonly mayReplaceOthers: boolean }): void {
  if (current.tenant !== who.tenant && !who.mayReplaceOthers) throw new MillraceError('MR_FORBIDDEN', `The kernel '${current.name}' is another tenant's.`, { field: 'name', httpStatus: 403 });
}
