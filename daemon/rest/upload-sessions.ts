import { randomUUID } from 'node:crypto';
import { createWriteStream, mkdirSync } from 'node:fs';
import { open, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MillraceError } from '../../pushdown/types/error.js';
import { sourceFilesMax } from '../../pushdown/types/source-options.js';
import type { Principal } from './access/principal.js';
import { asUploadError, bounded, tooLarge } from './upload.js';

export interface UploadLimits {
  readonly dir: string;
  /** All files of one upload together. */
  readonly bytesMax: number;
}

export interface PartPlace {
  /** Where in the file it begins. */
  readonly offset: number;
  /** Its length, if the sender said it. */
  readonly bytes: number | undefined;
}

export interface UploadState {
  readonly upload: string;
  /** Bytes of each file that are here: where its next part begins. */
  readonly files: readonly number[];
}

const sessionsMax = 256;
const idleMsMax = 3_600_000;

/** One upload under way: files that arrive in parts and become a dataset by one commit. */
interface Session {
  readonly owner: string;
  readonly folder: string;
  readonly files: number[];
  busy: boolean;
  timer: NodeJS.Timeout;
}

const ownerOf = ({ tenant, name }: Principal): string => JSON.stringify([tenant, name]);

/** Uploads by part. Nothing of one is a dataset before its commit; one that nobody touched for an hour is dropped. */
export class UploadSessions {
  readonly #sessions = new Map<string, Session>();

  constructor(private readonly limits: UploadLimits) {}

  /** @throws MillraceError MR_UPLOAD_LIMIT, MR_FORBIDDEN */
  open(who: Principal): UploadState {
    if (!who.mayWrite) throw new MillraceError('MR_FORBIDDEN', `Token '${who.name}' may not change datasets: make one with --write.`, { httpStatus: 403 });
    if (this.#sessions.size >= sessionsMax) throw new MillraceError('MR_UPLOAD_LIMIT', `${sessionsMax} uploads are open: commit or remove one.`, { httpStatus: 429 });
    const upload = randomUUID();
    const folder = join(this.limits.dir, 'tmp', `upload-${upload}`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const session: Session = { owner: ownerOf(who), folder, files: [], busy: false, timer: setTimeout(() => undefined, 0) };
    this.#sessions.set(upload, session);
    this.#touch(upload, session);
    return { upload, files: [] };
  }

  /** @throws MillraceError MR_UPLOAD_NOT_FOUND */
  state(upload: string, who: Principal): UploadState {
    return { upload, files: [...this.#session(upload, who).files] };
  }

  /**
   * Appends a part to file number `file` (0 first; the next new one may be named). A part that broke off keeps what arrived.
   * @throws MillraceError MR_UPLOAD_NOT_FOUND, MR_UPLOAD_BUSY, MR_UPLOAD_OFFSET (the file goes on elsewhere), MR_UPLOAD_TOO_LARGE,
   * MR_UPLOAD_LIMIT, MR_NO_SPACE, MR_UPLOAD_ABORTED
   */
  part(upload: string, who: Principal, file: number, { offset, bytes }: PartPlace, body: Readable, signal: AbortSignal): Promise<UploadState> {
    return this.#exclusive(upload, who, async (session) => {
      if (file > session.files.length || file >= sourceFilesMax) throw new MillraceError('MR_UPLOAD_LIMIT', `The next file of this upload is number ${session.files.length}; an upload has up to ${sourceFilesMax}.`, { field: 'file', httpStatus: 400 });
      const here = session.files[file] ?? 0;
      if (offset !== here) throw new MillraceError('MR_UPLOAD_OFFSET', `File ${file} has ${here} bytes: its next part begins there.`, { field: 'offset', httpStatus: 409 });
      const path = join(session.folder, String(file));
      const used = session.files.reduce((sum, bytes) => sum + bytes, 0);
      // Said beforehand: refused before a byte of it is read.
      if (bytes !== undefined && bytes > this.limits.bytesMax - used) throw tooLarge(this.limits.bytesMax);
      // Made even by a part without a byte.
      await (await open(path, 'a', 0o600)).close();
      try {
        session.files[file] = here;
        await pipeline(body, bounded(this.limits.bytesMax - used, this.limits.bytesMax), createWriteStream(path, { flags: 'a' }), { signal });
      } catch (error) {
        const refused = asUploadError(error);
        // Too large a part is none; of one that broke off, what arrived is kept.
        if (refused instanceof MillraceError && refused.code === 'MR_UPLOAD_TOO_LARGE') await truncate(path, here);
        throw refused;
      } finally {
        session.files[file] = (await stat(path)).size;
      }
      return { upload, files: [...session.files] };
    });
  }

  /**
   * Hands the files over; the upload is gone when `use` succeeded and stays as it was when it failed.
   * @throws MillraceError MR_UPLOAD_NOT_FOUND, MR_UPLOAD_BUSY, MR_UPLOAD_EMPTY, what `use` throws
   */
  async commit<T>(upload: string, who: Principal, use: (paths: readonly string[]) => Promise<T>): Promise<T> {
    const done = await this.#exclusive(upload, who, async ({ folder, files }) => {
      if (files.length === 0) throw new MillraceError('MR_UPLOAD_EMPTY', 'The upload has no file yet: send one first.', { httpStatus: 400 });
      return use(files.map((_, i) => join(folder, String(i))));
    });
    await this.remove(upload, who);
    return done;
  }

  /** @throws MillraceError MR_UPLOAD_NOT_FOUND, MR_UPLOAD_BUSY */
  async remove(upload: string, who: Principal): Promise<void> {
    await this.#exclusive(upload, who, (session) => this.#drop(upload, session));
  }

  /** The store empties the folder at the next start. */
  close(): void {
    for (const { timer } of this.#sessions.values()) clearTimeout(timer);
    this.#sessions.clear();
  }

  async #exclusive<T>(upload: string, who: Principal, work: (session: Session) => Promise<T>): Promise<T> {
    const session = this.#session(upload, who);
    if (session.busy) throw new MillraceError('MR_UPLOAD_BUSY', 'Another request works on this upload: wait for it.', { httpStatus: 409 });
    session.busy = true;
    clearTimeout(session.timer);
    try {
      return await work(session);
    } finally {
      session.busy = false;
      if (this.#sessions.get(upload) === session) this.#touch(upload, session);
    }
  }

  async #drop(upload: string, session: Session): Promise<void> {
    this.#sessions.delete(upload);
    clearTimeout(session.timer);
    await rm(session.folder, { recursive: true, force: true });
  }

  /** Another's upload is not there. */
  #session(upload: string, who: Principal): Session {
    const session = this.#sessions.get(upload);
    if (!session || session.owner !== ownerOf(who)) throw new MillraceError('MR_UPLOAD_NOT_FOUND', `There is no upload '${upload}': it ended, or the daemon was started anew.`, { field: 'upload', httpStatus: 404 });
    return session;
  }

  #touch(upload: string, session: Session): void {
    clearTimeout(session.timer);
    session.timer = setTimeout(() => void this.#drop(upload, session).catch(() => undefined), idleMsMax);
    session.timer.unref();
  }
}
