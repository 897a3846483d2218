import type { BoundOperator } from './bound-plan.js';

// Operators that read, by allow-list: json_serialize_plan takes INSERT, DELETE and the rest as well.
const reading = new Set([
  'GET', 'CHUNK_GET', 'EXPRESSION_GET', 'DUMMY_SCAN', 'EMPTY_RESULT', 'DELIM_GET', 'PROJECTION', 'FILTER', 'AGGREGATE_AND_GROUP_BY', 'WINDOW', 'UNNEST',
  'LIMIT', 'ORDER_BY', 'TOP_N', 'DISTINCT', 'SAMPLE', 'PIVOT', 'JOIN', 'DELIM_JOIN', 'COMPARISON_JOIN', 'ANY_JOIN', 'CROSS_PRODUCT', 'POSITIONAL_JOIN', 'ASOF_JOIN',
  'DEPENDENT_JOIN', 'UNION', 'EXCEPT', 'INTERSECT', 'RECURSIVE_CTE', 'MATERIALIZED_CTE', 'CTE_REF',
].map((name) => `LOGICAL_${name}`));

/** Whether a bound plan can do nothing but read. */
export function isReadOnly(root: BoundOperator): boolean {
  return reading.has(root.type) && root.children.every(isReadOnly);
}
