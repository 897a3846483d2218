import { describe, expect, it } from 'vitest';
import type { Expr, LiteralValue } from '../../pushdown/expr/expr.js';
import { planJson, planOfJson } from '../../pushdown/plan/plan-json.js';
import type { Plan } from '../../pushdown/plan/plan.js';
import type { LogicalType } from '../../pushdown/types/logical.js';

const literal = (value: LiteralValue, type: LogicalType): Expr => ({ kind: 'literal', value, type });
const column: Expr = { kind: 'column', name: 'type' };
const keeping = (expr: Expr): Plan => ({ dataset: 'd', ops: [{ kind: 'project', columns: [{ name: 'value', expr }] }] });
const round = (plan: Plan): Plan => planOfJson(JSON.parse(planJson(plan)));

describe('a plan as JSON', () => {
  it.each<[string, LiteralValue, LogicalType]>([
    ['int32', 7n, { kind: 'int32' }],
    ['the lowest int64', -(2n ** 63n), { kind: 'int64' }],
    ['a decimal, unscaled', 123_456_789_012_345_678n, { kind: 'decimal', precision: 18, scale: 2 }],
    ['days', -719_162n, { kind: 'date' }],
    ['an instant', 1_700_000_000_000_001n, { kind: 'timestamp', utc: true }],
    ['NULL of any type', null, { kind: 'float64' }],
    ['text that looks like a number', '12', { kind: 'utf8' }],
    ['a bool', false, { kind: 'bool' }],
    ['a float', 0.1, { kind: 'float64' }],
    ['NaN', Number.NaN, { kind: 'float64' }],
    ['minus infinity', Number.NEGATIVE_INFINITY, { kind: 'float32' }],
    ['minus zero', -0, { kind: 'float64' }],
  ])('keeps %s', (_name, value, type) => {
    const [op] = round(keeping(literal(value, type))).ops;
    const got = op?.kind === 'project' && op.columns[0]?.expr;
    expect(got).toEqual(literal(value, type));
    if (got && got.kind === 'literal') expect(Object.is(got.value, value)).toBe(true);
  });

  it('keeps operators, names that look like fields of its own, and boundaries', () => {
    const plan: Plan = {
      dataset: 'literal',
      ops: [
        { kind: 'filter', predicate: { kind: 'in', arg: column, values: [literal(1n, { kind: 'int64' }), literal(null, { kind: 'int64' })], negated: true } },
        { kind: 'project', columns: [{ name: 'kind', expr: { kind: 'bucketize', arg: column, boundaries: [Number.NEGATIVE_INFINITY, -0, 2.5] } }] },
        { kind: 'topK', k: 3, orderBy: [{ expr: { kind: 'column', name: 'kind' }, descending: true, nullsFirst: false }] },
        { kind: 'limit', count: 2, offset: 1 },
      ],
    };
    expect(round(plan)).toEqual(plan);
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['no operators', { dataset: 'd' }],
    ['an integer that is none', { dataset: 'd', ops: [{ kind: 'literal', value: '1.5', type: { kind: 'int64' } }] }],
    ['a number where digits belong', { dataset: 'd', ops: [{ kind: 'literal', value: 5, type: { kind: 'int64' } }] }],
    ['a literal without a type', { dataset: 'd', ops: [{ kind: 'literal', value: '5' }] }],
    ['endless nesting', JSON.parse(`${'['.repeat(2000)}${']'.repeat(2000)}`)],
  ])('refuses %s', (_name, json) => {
    expect(() => planOfJson(json)).toThrow(expect.objectContaining({ code: 'MR_PLAN_JSON' }));
  });
});
