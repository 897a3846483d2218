import { z } from 'zod';
import type { LiteralValue } from '../../../pushdown/expr/expr.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import type { BoundValue } from './bound-plan.js';
import { logicalOf } from './duck-type.js';

export interface TypedValue {
  readonly type: LogicalType;
  readonly value: LiteralValue;
}

const wide = z.looseObject({ upper: z.union([z.number(), z.string()]), lower: z.union([z.number(), z.string()]) });

/** A constant of a serialized plan as a typed value; undefined when its type has no place in a plan. */
export function constantValue(constant: BoundValue): TypedValue | undefined {
  const type = logicalOf(constant.type);
  if (!type) return undefined;
  if (constant.is_null) return { type, value: null };
  const raw = constant.value;
  switch (type.kind) {
    case 'bool': return typeof raw === 'boolean' ? { type, value: raw } : undefined;
    case 'utf8': return typeof raw === 'string' ? { type, value: raw } : undefined;
    case 'float32': case 'float64': return floatOf(raw, type);
    default: return exactOf(raw, type);
  }
}

function floatOf(raw: unknown, type: LogicalType): TypedValue | undefined {
  if (typeof raw === 'number') return { type, value: raw };
  // Long integers and the bare words NaN, Infinity arrive as strings (lossless-json.ts).
  if (typeof raw !== 'string') return undefined;
  const word = raw.toLowerCase();
  if (word === 'nan' || word === '-nan') return { type, value: Number.NaN };
  if (word === 'infinity' || word === 'inf') return { type, value: Number.POSITIVE_INFINITY };
  if (word === '-infinity' || word === '-inf') return { type, value: Number.NEGATIVE_INFINITY };
  return /^-?\d+$/.test(raw) ? { type, value: Number(raw) } : undefined;
}

function exactOf(raw: unknown, type: LogicalType): TypedValue | undefined {
  const integer = integerOf(raw);
  if (integer !== undefined) return { type, value: integer };
  const parts = wide.safeParse(raw);
  if (!parts.success) return undefined;
  const upper = integerOf(parts.data.upper);
  const lower = integerOf(parts.data.lower);
  return upper === undefined || lower === undefined ? undefined : { type, value: (upper << 64n) + BigInt.asUintN(64, lower) };
}

function integerOf(raw: unknown): bigint | undefined {
  if (typeof raw === 'number') return Number.isSafeInteger(raw) ? BigInt(raw) : undefined;
  return typeof raw === 'string' && /^-?\d+$/.test(raw) ? BigInt(raw) : undefined;
}
