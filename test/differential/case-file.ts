import type { Plan } from '../../pushdown/plan/plan.js';
import type { Value } from '../../pushdown/reference/value.js';
import type { Column } from '../../pushdown/types/schema.js';
import { type Data, dataOf } from './data.js';

// JSON has no bigint, NaN, infinities or -0: { "$int": "..." } and { "$float": "..." } stand for them.

export function caseToJson(plan: Plan, data: Data): string {
  return `${JSON.stringify({ plan, columns: data.schema.columns, values: data.values }, (_, v: unknown) => {
    if (typeof v === 'bigint') return { $int: String(v) };
    if (typeof v === 'number' && (!Number.isFinite(v) || Object.is(v, -0))) return { $float: Object.is(v, -0) ? '-0' : String(v) };
    return v;
  })}\n`;
}

export function caseFromJson(text: string): { plan: Plan; data: Data } {
  const parsed = JSON.parse(text, (_, v: unknown) => {
    if (typeof v !== 'object' || v === null) return v;
    if ('$int' in v) return BigInt(String(v.$int));
    if ('$float' in v) return Number(v.$float);
    return v;
  }) as { plan: Plan; columns: Column[]; values: Value[][][] };
  return { plan: parsed.plan, data: dataOf(parsed.columns, parsed.values) };
}
