/** What a crash-test host is started with (one JSON argument). */
export interface HostOptions {
  readonly dir: string;
  readonly capacityBytes: number;
  /** Absent: the product's own ingest child. */
  readonly ingestScript?: string;
  /** Files; a dataset's content is the index of the one it was loaded from, or two indices where one was appended. */
  readonly variants: readonly string[];
  /** Rows of each, where rows can be appended. */
  readonly rowsOfVariants?: readonly number[];
  /** Each lane changes its own names, one operation after the other; lanes run side by side. */
  readonly lanes: readonly (readonly Operation[])[];
}

/** append: behind what `put` loaded, once; a host that finds it appended to already puts instead. */
export type Operation = { readonly kind: 'put' | 'append'; readonly name: string; readonly variant: number } | { readonly kind: 'remove'; readonly name: string };

export interface Found {
  readonly name: string;
  /** SHA-256 over columns and every chunk's bytes. */
  readonly digest: string;
  readonly damagedChunks: number;
}

/** Lines on the host's stdout. */
export type HostLine =
  /** What the store held after it was opened, before any operation. */
  | { readonly kind: 'found'; readonly datasets: readonly Found[]; readonly capacityBytes: number; readonly freeBytes: number; readonly storedBytes: number; readonly files: readonly string[] }
  | { readonly kind: 'begin'; readonly operation: Operation }
  /** code: the MillraceError it failed with; absent: it is promised to be on the media. */
  | { readonly kind: 'end'; readonly operation: Operation; readonly code?: string }
  /** All lanes are through, the space of all retired versions is back. */
  | { readonly kind: 'idle'; readonly freeBytes: number; readonly storedBytes: number };
