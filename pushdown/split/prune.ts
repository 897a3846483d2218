import { commonType } from '../expr/common-type.js';
import type { CompareOp, Expr } from '../expr/expr.js';
import { inferType } from '../expr/infer.js';
import { castValue } from '../reference/cast.js';
import { type Value, compareValues } from '../reference/value.js';
import { MillraceError } from '../types/error.js';
import type { LogicalType } from '../types/logical.js';
import type { Schema } from '../types/schema.js';
import { type ZoneMap, ZoneMaps } from './zone-map.js';

/**
 * Row groups that may hold a row for which `predicate` is true, ascending; without a predicate all that have rows.
 * Conservative: what is not understood keeps the row group. `layout`: DatasetHeader and ChunkRecords.
 */
export function pruneRowGroups(predicate: Expr | undefined, layout: Uint8Array, schema: Schema): number[] {
  const maps = new ZoneMaps(layout, schema);
  const kept: number[] = [];
  for (let g = 0; g < maps.rowGroups; g++) {
    const zone = (column: number) => maps.at(column, g);
    if (zone(0).rows > 0 && (!predicate || outcomesOf(predicate, schema, zone).canTrue)) kept.push(g);
  }
  return kept;
}

/** Which of the three truth values a predicate may take in a row group. A superset is always right. */
export interface Outcomes {
  readonly canTrue: boolean;
  readonly canFalse: boolean;
  readonly canNull: boolean;
}

const anything: Outcomes = { canTrue: true, canFalse: true, canNull: true };

export function outcomesOf(expr: Expr, schema: Schema, zone: (column: number) => ZoneMap): Outcomes {
  const of = (e: Expr) => outcomesOf(e, schema, zone);
  const compare = (op: CompareOp, left: Expr, right: Expr) => comparison(op, rangeOf(left, schema, zone), rangeOf(right, schema, zone));
  switch (expr.kind) {
    case 'and':
      return expr.args.map(of).reduce<Outcomes>(both, { canTrue: true, canFalse: false, canNull: false });
    case 'or':
      return not(expr.args.map((e) => not(of(e))).reduce<Outcomes>(both, { canTrue: true, canFalse: false, canNull: false }));
    case 'not':
      return not(of(expr.arg));
    case 'compare':
      return compare(expr.op, expr.left, expr.right);
    case 'between': {
      const [arg, low, high] = alike([expr.arg, expr.low, expr.high], schema, zone);
      return both(comparison('ge', arg, low), comparison('le', arg, high));
    }
    case 'in': {
      const [arg, ...values] = alike([expr.arg, ...expr.values], schema, zone);
      const none = values.map((v) => comparison('ne', arg, v)).reduce<Outcomes>(both, { canTrue: true, canFalse: false, canNull: false });
      return expr.negated ? none : not(none);
    }
    case 'isNull': {
      const range = rangeOf(expr.arg, schema, zone);
      if (!range) return { canTrue: true, canFalse: true, canNull: false };
      const isNull = { canTrue: range.canNull, canFalse: range.canValue, canNull: false };
      return expr.negated ? not(isNull) : isNull;
    }
    case 'column':
    case 'literal':
      return comparison('eq', rangeOf(expr, schema, zone), { type: { kind: 'bool' }, canNull: false, canValue: true, bounds: { min: true, max: true, prefixes: false } });
    default:
      return anything;
  }
}

const not = (o: Outcomes): Outcomes => ({ canTrue: o.canFalse, canFalse: o.canTrue, canNull: o.canNull });

function both(a: Outcomes, b: Outcomes): Outcomes {
  return {
    canTrue: a.canTrue && b.canTrue,
    canFalse: a.canFalse || b.canFalse,
    canNull: (a.canNull && (b.canNull || b.canTrue)) || (b.canNull && a.canTrue),
  };
}

/** Values an expression may take in a row group; without bounds: any. */
interface Range {
  readonly type: LogicalType;
  readonly canNull: boolean;
  readonly canValue: boolean;
  readonly bounds?: { readonly min: Value; readonly max: Value; readonly prefixes: boolean };
}

function rangeOf(expr: Expr, schema: Schema, zone: (column: number) => ZoneMap): Range | undefined {
  switch (expr.kind) {
    case 'column': {
      const index = schema.columns.findIndex((c) => c.name === expr.name);
      const column = schema.columns[index];
      if (!column) return undefined;
      const { rows, nullCount, hasNan, bounds } = zone(index);
      const base = { type: column.type, canNull: nullCount > 0, canValue: nullCount < rows };
      if (!bounds) return base;
      return { ...base, bounds: hasNan ? { ...bounds, max: Number.NaN } : bounds };
    }
    case 'literal':
      if (expr.value === null) return { type: expr.type, canNull: true, canValue: false };
      return { type: expr.type, canNull: false, canValue: true, bounds: { min: expr.value, max: expr.value, prefixes: false } };
    case 'cast': {
      const range = rangeOf(expr.arg, schema, zone);
      // Casts between numbers, dates and timestamps keep order, so bounds stay bounds; a cast to bool does not.
      if (!range || expr.type.kind === 'bool') return undefined;
      return castRange(range, inferType(expr, schema));
    }
    default:
      return undefined;
  }
}

/**
 * Ranges in the one type all of them are compared in: beside a DOUBLE in an IN list, a large BIGINT equals its neighbours.
 * undefined: nothing is known.
 */
function alike(exprs: readonly Expr[], schema: Schema, zone: (column: number) => ZoneMap): (Range | undefined)[] {
  const ranges = exprs.map((e) => rangeOf(e, schema, zone));
  const types = ranges.map((r) => r?.type);
  const type = types.reduce((a, b) => a && b && commonType(a, b));
  return ranges.map((r) => r && type && castRange(r, type));
}

function castRange({ bounds, ...range }: Range, type: LogicalType): Range {
  if (!bounds || bounds.prefixes) return { ...range, type, ...(bounds ? { bounds } : {}) };
  try {
    return { ...range, type, bounds: { min: castValue(bounds.min, range.type, type), max: castValue(bounds.max, range.type, type), prefixes: false } };
  } catch (error) {
    // A bound that does not fit its new type: the kernel will meet the overflow, or not.
    if (error instanceof MillraceError) return { ...range, type };
    throw error;
  }
}

function comparison(op: CompareOp, left: Range | undefined, right: Range | undefined): Outcomes {
  if (!left || !right) return anything;
  const canNull = left.canNull || right.canNull;
  if (!left.canValue || !right.canValue) return { canTrue: false, canFalse: false, canNull };
  const type = commonType(left.type, right.type);
  const a = type && castRange(left, type).bounds;
  const b = type && castRange(right, type).bounds;
  if (!a || !b) return { canTrue: true, canFalse: true, canNull };
  const prefixes = a.prefixes || b.prefixes;
  const bound = (v: Value, isPrefix: boolean) => (prefixes && !isPrefix ? prefixOf(String(v)) : v);
  const order = (x: Value, xPrefix: boolean, y: Value, yPrefix: boolean) => compareValues(bound(x, xPrefix), bound(y, yPrefix));
  const lowest = order(a.min, a.prefixes, b.max, b.prefixes);
  const highest = order(a.max, a.prefixes, b.min, b.prefixes);
  // Texts with one prefix may be in any order.
  const less = prefixes ? lowest <= 0 : lowest < 0;
  const greater = prefixes ? highest >= 0 : highest > 0;
  const equal = lowest <= 0 && highest >= 0;
  const truth: Record<CompareOp, readonly [boolean, boolean]> = {
    eq: [equal, less || greater],
    ne: [less || greater, equal],
    lt: [less, equal || greater],
    le: [less || equal, greater],
    gt: [greater, equal || less],
    ge: [greater || equal, less],
  };
  const [canTrue, canFalse] = truth[op];
  return { canTrue, canFalse, canNull };
}

const utf8 = new TextEncoder();

function prefixOf(text: string): bigint {
  const bytes = utf8.encode(text);
  let prefix = 0n;
  for (let i = 0; i < 8; i++) prefix = (prefix << 8n) | BigInt(bytes[i] ?? 0);
  return prefix;
}
