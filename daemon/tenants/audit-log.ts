import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord, NativeDevice } from '../../native/index.js';
import { guestFaultName, statusName } from '../../native/command-status.js';
import type { DatasetInfo } from '../../pushdown/types/dataset-info.js';
import type { Actor } from './tenant-book.js';

/** A file is closed at this size; so many older ones are kept beside it. */
const fileBytesMax = 8 << 20;
const filesKept = 4;
/** Handles whose names are remembered after their dataset was replaced or removed. */
const namesMax = 10_000;
/** GuestFault codes lie below, Status codes above (native/wire/scan.def). */
const statusCodesFrom = 0x80;

/** One line of the log: who ran what on what, and how it ended. */
export interface AuditEntry {
  readonly at: string;
  readonly tenant: string;
  /** Name of the token, or local, operator. */
  readonly token: string;
  /** SHA-256 of the kernel slots were to run; null: the host ran everything. */
  readonly kernel: string | null;
  /** The daemon generated that kernel: SHA-256 of the users' modules in it, often none. Absent: the host brought it. */
  readonly madeOf?: readonly string[];
  /** (memory): a host's Execute over memory of its own. */
  readonly dataset: string;
  readonly version: number | null;
  /** ok, refused, a GuestFault or a Status. */
  readonly outcome: string;
  readonly morsels: number;
  readonly morselsDevice: number;
  readonly ms: number;
}

export interface AuditLogOptions {
  readonly dir: string;
  readonly device: Pick<NativeDevice, 'drainAudit'>;
  readonly datasets: { list(): DatasetInfo[] };
  readonly actorOf: (number: number) => Actor | undefined;
  readonly onError: (error: unknown) => void;
  readonly fileBytesMax?: number;
}

/** Append-only NDJSON in the data directory, bounded by rotation: audit/audit.ndjson, then .1 (newer) to .4 (oldest). */
export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #path: string;
  readonly #names = new Map<number, { readonly name: string; readonly version: number }>();
  #bytes: number;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    mkdirSync(join(options.dir, 'audit'), { recursive: true, mode: 0o700 });
    this.#path = join(options.dir, 'audit/audit.ndjson');
    this.#bytes = existsSync(this.#path) ? statSync(this.#path).size : 0;
  }

  /** Writes what the device recorded since the last call. */
  collect(): void {
    const { records, lost } = this.#options.device.drainAudit();
    if (records.length === 0 && lost === 0) return;
    const lines = records.map((record) => JSON.stringify(this.#entry(record)));
    // Silence would read as if nothing had happened.
    if (lost > 0) lines.push(JSON.stringify({ at: new Date().toISOString(), lost }));
    const text = `${lines.join('\n')}\n`;
    try {
      const bytes = Buffer.byteLength(text);
      if (this.#bytes > 0 && this.#bytes + bytes > (this.#options.fileBytesMax ?? fileBytesMax)) this.#rotate();
      appendFileSync(this.#path, text, { mode: 0o600 });
      this.#bytes += bytes;
    } catch (error) {
      this.#options.onError(error);
    }
  }

  /** The last entries, oldest first. */
  tail(limit: number): AuditEntry[] {
    this.collect();
    const lines: string[] = [];
    for (let age = 0; age <= filesKept && lines.length < limit; age++) {
      const path = this.#aged(age);
      if (existsSync(path)) lines.unshift(...readFileSync(path, 'utf8').split('\n').filter((line) => line !== ''));
    }
    return lines.slice(-limit).flatMap((line) => {
      try {
        return [JSON.parse(line) as AuditEntry];
      } catch {
        return []; // cut off by a crash
      }
    });
  }

  #entry(record: AuditRecord): AuditEntry {
    const who = this.#options.actorOf(record.actor);
    const dataset = this.#dataset(record.dataset);
    const outcome = record.refused ? 'refused' : record.fault === 0 ? 'ok' : record.fault < statusCodesFrom ? guestFaultName(record.fault) : statusName(record.fault);
    return {
      at: new Date().toISOString(), tenant: who?.tenant ?? 'local', token: who?.token ?? 'local', kernel: record.kernel ?? null, ...(record.madeOf && { madeOf: record.madeOf }), dataset: record.dataset === 0 ? '(memory)' : (dataset?.name ?? `#${record.dataset}`), version: dataset?.version ?? null,
      outcome, morsels: record.morsels, morselsDevice: record.morselsDevice, ms: Math.round(record.ms * 1000) / 1000,
    };
  }

  #dataset(handle: number): { readonly name: string; readonly version: number } | undefined {
    if (!this.#names.has(handle)) for (const { handle: known, name, version } of this.#options.datasets.list()) this.#names.set(known, { name, version });
    const [oldest] = this.#names.keys();
    if (this.#names.size > namesMax && oldest !== undefined && oldest !== handle) this.#names.delete(oldest);
    return this.#names.get(handle);
  }

  #aged(age: number): string {
    return age === 0 ? this.#path : `${this.#path}.${age}`;
  }

  #rotate(): void {
    rmSync(this.#aged(filesKept), { force: true });
    for (let age = filesKept - 1; age >= 0; age--) if (existsSync(this.#aged(age))) renameSync(this.#aged(age), this.#aged(age + 1));
    this.#bytes = 0;
  }
}
