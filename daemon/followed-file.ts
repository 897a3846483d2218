import { statSync } from 'node:fs';

/** How long a changed file may go unnoticed: a removed token works this long at most. */
const lookAgainMs = 250;

export interface FollowedFileOptions {
  readonly path: string;
  readonly now: () => number;
  /** The changed file could not be used. */
  readonly onError: (error: unknown) => void;
}

/** A file somebody else replaces while the daemon runs: `read` is called now and whenever it changed since. */
export class FollowedFile {
  #stamp = '';
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** Throws what `read` throws of the file as it is now. */
  constructor(private readonly options: FollowedFileOptions, private readonly read: () => void) {
    this.#read();
  }

  /** To be called before what was read is used. What was good stays where the file is not: half-edited, it locks nobody out and lets nobody in. */
  look(): void {
    const now = this.options.now();
    if (now - this.#lookedMs < lookAgainMs) return;
    this.#lookedMs = now;
    try {
      if (stampOf(this.options.path) !== this.#stamp) this.#read();
    } catch (error) {
      this.options.onError(error);
    }
  }

  #read(): void {
    this.#stamp = stampOf(this.options.path);
    this.read();
  }
}

function stampOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat ? `${stat.ino}/${stat.mtimeNs}/${stat.size}` : '';
}
