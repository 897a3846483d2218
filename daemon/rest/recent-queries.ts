/** Queries and events the daemon remembers for /v1/status. */
export const recentQueriesMax = 50;
export const recentEventsMax = 50;
/** Characters of a remembered text. */
const textCharsMax = 400;

export interface RecentQuery {
  readonly sql: string;
  readonly answer: string;
  readonly pushdown: string;
  /** Milliseconds since 1970, and wall time of the query from its acceptance. */
  readonly startedMs: number;
  readonly ms: number;
  /** ok, or the MR_* code it ended with. */
  readonly outcome: string;
  readonly rows: number;
  readonly answerBytes: number;
}

export interface RecentEvent {
  readonly atMs: number;
  readonly kind: string;
  readonly detail: string;
}

/** The last things that happened, newest first, bounded. */
export class RecentLog<T> {
  readonly #kept: T[] = [];

  constructor(private readonly keptMax: number) {}

  add(entry: T): void {
    this.#kept.unshift(entry);
    if (this.#kept.length > this.keptMax) this.#kept.pop();
  }

  list(): readonly T[] {
    return [...this.#kept];
  }
}

export const shortText = (text: string): string => (text.length > textCharsMax ? `${text.slice(0, textCharsMax - 1)}…` : text);
