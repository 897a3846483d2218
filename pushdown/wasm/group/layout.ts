import type { Range } from '../ir.js';
import type { WordKind } from './word.js';

/** One group key: a word, and a NULL bit if it may be NULL. */
export interface KeySpec {
  readonly kind: WordKind;
  readonly nullable: boolean;
  /** Bounds of an exact key that is never outside them. */
  readonly range?: Range;
}

/** What is kept per group for one partial or final sum. */
export type AccumulatorSpec =
  | { readonly form: 'count' | 'sum64' | 'sum128' | 'sumF64' }
  | { readonly form: 'min' | 'max'; readonly kind: WordKind };

export const accumulatorBytes = (a: AccumulatorSpec): number => (a.form === 'sum128' ? 16 : 8);

/** Slots a table addressed by key may always have. */
const denseSlotsMin = 4096;

/** A table addressed by key may be so much larger than the groups it can get: it costs memory that is not touched, and saves hashing. */
const denseSparsity = 2;

/**
 * Where things lie in a group's entry. Accumulator 0 counts rows and is the first word: 0 there means the entry is unused.
 * [rows][hash u32, null bits u32][keys...][accumulators...], multiple of 8 bytes.
 */
export class EntryLayout {
  readonly hashAt = 8;
  readonly nullsAt = 12;
  readonly keysAt: readonly number[];
  readonly accumulatorsAt: readonly number[];
  readonly bytes: number;

  constructor(
    readonly keys: readonly KeySpec[],
    readonly accumulators: readonly AccumulatorSpec[],
  ) {
    this.keysAt = keys.map((_, i) => 16 + i * 8);
    let at = 16 + keys.length * 8;
    this.accumulatorsAt = accumulators.map((a, i) => {
      if (i === 0) return 0;
      const here = at;
      at += accumulatorBytes(a);
      return here;
    });
    this.bytes = at;
  }
}

/** Values each key may have, NULL counted as one more; undefined: too many, or unknown. */
export function denseDimensions(keys: readonly KeySpec[], groupsMax: number): readonly number[] | undefined {
  const slotsMax = Math.max(denseSlotsMin, groupsMax * denseSparsity);
  const sizes: number[] = [];
  let product = 1;
  for (const { kind, range, nullable } of keys) {
    if (kind !== 'exact' || !range || range.max - range.min >= BigInt(slotsMax)) return undefined;
    const size = Number(range.max - range.min) + 1 + (nullable ? 1 : 0);
    product *= size;
    if (product > slotsMax) return undefined;
    sizes.push(size);
  }
  return sizes;
}
