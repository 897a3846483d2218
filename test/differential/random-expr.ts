import { commonType, isFloat, isInteger, isNumeric, isUnsigned } from '../../pushdown/expr/common-type.js';
import type { CompareOp, Expr } from '../../pushdown/expr/expr.js';
import { inferType } from '../../pushdown/expr/infer.js';
import type { Value } from '../../pushdown/reference/value.js';
import type { LogicalType } from '../../pushdown/types/logical.js';
import type { Column } from '../../pushdown/types/schema.js';
import type { Random } from './random.js';

/** Columns a generator may use, with sample values to compare with. */
export interface Scope {
  readonly columns: readonly Column[];
  sample(column: string): Value;
}

const compareOps: readonly CompareOp[] = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'];
const columnExpr = (c: Column): Expr => ({ kind: 'column', name: c.name });

export function randomPredicate(random: Random, scope: Scope, depth: number): Expr {
  if (depth > 0 && random.chance(0.5)) {
    const kind = random.pick(['and', 'and', 'or', 'not'] as const);
    if (kind === 'not') return { kind, arg: randomPredicate(random, scope, depth - 1) };
    return { kind, args: Array.from({ length: random.int(1, 3) }, () => randomPredicate(random, scope, depth - 1)) };
  }
  const column = random.pick(scope.columns);
  const arg = columnExpr(column);
  switch (random.int(0, 8)) {
    case 0:
      return { kind: 'isNull', arg, negated: random.chance(0.5) };
    case 1:
      return column.type.kind === 'bool' ? arg : { kind: 'between', arg, low: near(random, scope, column), high: near(random, scope, column) };
    case 2:
      return { kind: 'in', arg, values: Array.from({ length: random.int(1, 5) }, () => near(random, scope, column)), negated: random.chance(0.3) };
    case 3:
      if (column.type.kind === 'utf8') return { kind: 'like', arg, pattern: random.pick(['%', '', 'a%', '%b', '%special%requests%', '_', 'a_', '%a%', 'ab', '%日%', 'a\\%b', '__%']), negated: random.chance(0.3) };
      return { kind: 'compare', op: random.pick(compareOps), left: near(random, scope, column), right: arg };
    case 4: {
      const other = random.pick(scope.columns);
      if (commonType(column.type, other.type)) return { kind: 'compare', op: random.pick(compareOps), left: arg, right: columnExpr(other) };
      return { kind: 'compare', op: random.pick(compareOps), left: arg, right: near(random, scope, column) };
    }
    case 5: {
      const left = randomNumber(random, scope, 2);
      if (!left) return { kind: 'isNull', arg, negated: false };
      const type = inferType(left, scope);
      return { kind: 'compare', op: random.pick(compareOps), left, right: literalNear(random, 0n, type) };
    }
    default:
      return { kind: 'compare', op: random.pick(compareOps), left: arg, right: near(random, scope, column) };
  }
}

/** A literal of the column's type (or of a comparable one) that some row may equal. */
function near(random: Random, scope: Scope, column: Column): Expr {
  if (random.chance(0.04)) return { kind: 'literal', value: null, type: column.type };
  const value = scope.sample(column.name);
  if (isInteger(column.type) && random.chance(0.15)) return { kind: 'literal', value: random.int(-40, 40) + 0.5, type: { kind: 'float64' } };
  if (value !== null && random.chance(0.8)) return { kind: 'literal', value, type: column.type };
  return literalNear(random, typeof value === 'bigint' ? value : 0n, column.type);
}

function literalNear(random: Random, around: bigint, type: LogicalType): Expr {
  const literal = (value: Value): Expr => ({ kind: 'literal', value, type });
  switch (type.kind) {
    case 'bool':
      return literal(random.chance(0.5));
    case 'utf8':
      return literal(random.pick(['', 'a', 'b', 'abc', 'special', 'zz', '日']));
    case 'float32':
      return literal(Math.fround(random.int(-100, 100) / 8));
    case 'float64':
      return literal(random.chance(0.05) ? NaN : random.int(-1000, 1000) / 8);
    default: {
      const moved = around + BigInt(random.int(-3, 100));
      // Small enough for every exact type.
      return literal(moved < 0n && isUnsigned(type) ? 0n : BigInt.asIntN(7, moved) < 0n && isUnsigned(type) ? 1n : BigInt.asIntN(7, moved) % 99n);
    }
  }
}

/** A numeric expression that cannot overflow: exact operands are bounded columns and small literals. */
export function randomNumber(random: Random, scope: Scope, depth: number): Expr | undefined {
  const leaves = scope.columns.filter((c) => isFloat(c.type) || (isNumeric(c.type) && bounded(c, c.type.kind === 'int8' || c.type.kind === 'uint8' ? 10n : 30n)));
  if (leaves.length === 0) return undefined;
  const column = random.pick(leaves);
  const leaf = columnExpr(column);
  // Now and then something that may overflow: then every side has to fail.
  if (random.chance(0.02)) {
    const exact = scope.columns.filter((c) => isInteger(c.type) || (c.type.kind === 'decimal' && c.type.scale < 9));
    if (exact.length > 0) return { kind: 'arith', op: random.pick(['add', 'sub', 'mul']), left: columnExpr(random.pick(exact)), right: columnExpr(random.pick(exact)) };
  }
  if (depth === 0 || random.chance(0.25)) return leaf;
  // Integers are widened first: int8 * int8 overflows at once.
  const wide = (c: Column): Expr => (isInteger(c.type) ? { kind: 'cast', arg: columnExpr(c), type: { kind: 'int64' } } : columnExpr(c));
  const other = random.pick(leaves);
  switch (random.int(0, 8)) {
    case 0:
      return isUnsigned(column.type) ? leaf : { kind: 'negate', arg: leaf };
    case 1:
      return { kind: 'cast', arg: leaf, type: random.pick([{ kind: 'float64' }, { kind: 'float64' }, ...(isFloat(column.type) ? [] : [{ kind: 'float32' } as const])]) };
    case 2:
      return { kind: 'coalesce', args: [leaf, literalNear(random, 0n, column.type)] };
    case 3:
      return { kind: 'clamp', arg: leaf, low: literalNear(random, 0n, column.type), high: literalNear(random, 50n, column.type) };
    case 4:
      return { kind: 'bucketize', arg: leaf, boundaries: random.pick([[], [0], [-1.5, 0, 2, 100], [0.5, 1e6]]) };
    case 5: {
      const op = random.pick(['div', 'mod'] as const);
      if (isInteger(column.type) && isInteger(other.type)) return { kind: 'arith', op, left: wide(column), right: wide(other) };
      return { kind: 'arith', op: isFloat(column.type) || isFloat(other.type) ? op : 'div', left: leaf, right: columnExpr(other) };
    }
    case 6:
      return isFloat(column.type) ? { kind: 'log1p', arg: leaf } : { kind: 'log1p', arg: wide(column) };
    default: {
      const op = random.pick(['add', 'sub', 'mul'] as const);
      if (op === 'mul' && (scaleOf(column.type) + scaleOf(other.type) > 8)) return leaf;
      return { kind: 'arith', op, left: wide(column), right: wide(other) };
    }
  }
}

const scaleOf = (t: LogicalType): number => (t.kind === 'decimal' ? t.scale : 0);

function bounded(c: Column, max: bigint): boolean {
  if (c.min === undefined || c.max === undefined) return false;
  const room = c.type.kind === 'decimal' && c.type.precision < 5 ? 10n : max;
  return c.min >= -room * 10n && c.max <= room * 10n;
}
