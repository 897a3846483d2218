import type { Expr, LiteralValue } from '../expr/expr.js';
import { isFloat } from '../expr/common-type.js';
import { MillraceError } from '../types/error.js';
import type { LogicalType } from '../types/logical.js';
import type { Plan } from './plan.js';

/** Levels of nesting a plan from elsewhere may have. */
const depthMax = 1000;

/**
 * A plan as JSON: bigints become strings of digits, and so do the numbers JSON has no word for (NaN, infinities, -0). The
 * literal's type says what a string was.
 */
export function planJson(plan: Plan): string {
  return JSON.stringify(plan, (_key, value: unknown) => {
    if (typeof value === 'bigint') return String(value);
    if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))) return Object.is(value, -0) ? '-0' : String(value);
    return value;
  });
}

/**
 * The plan that planJson() wrote, parsed. Its values are restored here; whether it fits a dataset is for planSchema() to say.
 * @throws MillraceError MR_PLAN_JSON when a value is not what its type says
 */
export function planOfJson(json: unknown): Plan {
  const plan = restored(json, 0) as Partial<Plan> | null;
  if (typeof plan !== 'object' || plan === null || typeof plan.dataset !== 'string' || !Array.isArray(plan.ops)) throw bad('it names no dataset or no operators');
  return plan as Plan;
}

function restored(node: unknown, depth: number): unknown {
  if (depth > depthMax) throw bad(`it is nested more than ${depthMax} levels deep`);
  if (Array.isArray(node)) return node.map((each) => restored(each, depth + 1));
  if (typeof node !== 'object' || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, restored(value, depth + 1)])) as Partial<Extract<Expr, { kind: 'literal' | 'bucketize' }>> & Record<string, unknown>;
  if (copy.kind === 'literal') return { ...copy, value: literalValue(copy.value, copy.type as LogicalType | undefined) };
  if (copy.kind === 'bucketize' && Array.isArray(copy.boundaries)) return { ...copy, boundaries: copy.boundaries.map(Number) };
  return copy;
}

function literalValue(value: unknown, type: LogicalType | undefined): LiteralValue {
  if (value === null) return null;
  if (type?.kind === 'bool' && typeof value === 'boolean') return value;
  if (type?.kind === 'utf8' && typeof value === 'string') return value;
  if (type && type.kind !== 'bool' && type.kind !== 'utf8') {
    if (isFloat(type) && (typeof value === 'number' || typeof value === 'string')) return Number(value);
    if (typeof value === 'string' && /^-?\d+$/.test(value)) return BigInt(value);
  }
  throw bad(`a literal of type ${type?.kind ?? 'none'} is ${JSON.stringify(value)}`);
}

const bad = (detail: string): MillraceError => new MillraceError('MR_PLAN_JSON', `This is no plan: ${detail}.`, { httpStatus: 400 });
