import { isFloat } from '../expr/common-type.js';
import { inferType } from '../expr/infer.js';
import type { Aggregate } from '../plan/plan.js';
import { invariant } from '../types/error.js';
import type { Schema } from '../types/schema.js';
import { exactToFloat64 } from './cast.js';
import { type Evaluate, type Row, evaluator } from './evaluate.js';
import { type Value, canonical, compareValues } from './value.js';

/** One aggregate over one group. Rows of a morsel are added, then `endMorsel`, then rows of the next one. */
export interface Accumulator {
  /** rowInMorsel is counted before any filter. */
  add(row: Row, rowInMorsel: number): void;
  endMorsel(): void;
  result(): Value;
}

/** A factory per aggregate. Ungrouped float sums keep four accumulators per morsel, grouped ones a single one (docs/kernel-abi-v1.md). */
export function accumulatorOf(aggregate: Aggregate, schema: Schema, grouped: boolean): () => Accumulator {
  const { fn, arg } = aggregate;
  if (!arg) return () => count(() => true);
  const value = evaluator(arg, schema);
  const type = inferType(arg, schema);
  switch (fn) {
    case 'count':
      return () => count(value);
    case 'min':
      return () => extreme(value, -1);
    case 'max':
      return () => extreme(value, 1);
    case 'sum':
      return isFloat(type) ? () => floatSum(value, grouped ? 1 : 4, (sum) => sum) : () => exactSum(value, (sum) => sum);
    case 'avg': {
      const scale = type.kind === 'decimal' ? type.scale : 0;
      return isFloat(type)
        ? () => floatSum(value, grouped ? 1 : 4, (sum, n) => sum / Number(n))
        : () => exactSum(value, (sum, n) => averageOf(sum, n, scale));
    }
    default:
      return fn satisfies never;
  }
}

/** Mean of an exact sum: one conversion, one division. */
export const averageOf = (sum: bigint, n: bigint, scale: number): number => i128ToFloat64(sum) / (Number(n) * 10 ** scale);

/** High half times 2^64 plus low half, each rounded: what a kernel without 128-bit conversions does. */
export function i128ToFloat64(v: bigint): number {
  if (BigInt.asIntN(64, v) === v) return exactToFloat64(v, 0);
  return Number(v >> 64n) * 2 ** 64 + Number(BigInt.asUintN(64, v));
}

function count(value: Evaluate): Accumulator {
  let n = 0n;
  return {
    add: (row) => {
      if (value(row) !== null) n++;
    },
    endMorsel: () => {},
    result: () => n,
  };
}

function extreme(value: Evaluate, sign: 1 | -1): Accumulator {
  let best: Value = null;
  return {
    add: (row) => {
      const v = value(row);
      if (v !== null && (best === null || compareValues(v, best) * sign > 0)) best = canonical(v);
    },
    endMorsel: () => {},
    result: () => best,
  };
}

function exactSum(value: Evaluate, finish: (sum: bigint, n: bigint) => Value): Accumulator {
  let sum = 0n;
  let n = 0n;
  return {
    add: (row) => {
      const v = value(row);
      if (v === null) return;
      invariant(typeof v === 'bigint', 'exact values are summed');
      sum += v;
      n++;
    },
    endMorsel: () => {},
    result: () => (n === 0n ? null : finish(sum, n)),
  };
}

function floatSum(value: Evaluate, lanes: 1 | 4, finish: (sum: number, n: bigint) => Value): Accumulator {
  let total = 0;
  let n = 0n;
  let seen = false;
  const partial = new Float64Array(lanes);
  return {
    add: (row, rowInMorsel) => {
      const v = value(row);
      if (v === null) return;
      partial[rowInMorsel % lanes]! += Number(v);
      n++;
      seen = true;
    },
    endMorsel: () => {
      if (seen) total += lanes === 4 ? partial[0]! + partial[1]! + (partial[2]! + partial[3]!) : partial[0]!;
      partial.fill(0);
      seen = false;
    },
    result: () => (n === 0n ? null : finish(total, n)),
  };
}
