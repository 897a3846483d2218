// The public face of pushdown: types, expressions, plans, their compilation and their oracle. Runs in Node and browsers alike.
export type * from './expr/expr.js';
export { inferNullable, inferType, typeName } from './expr/infer.js';
export type * from './plan/compiled.js';
export type * from './plan/plan.js';
export { planSchema } from './plan/schema.js';
export { planJson, planOfJson } from './plan/plan-json.js';
export { planSql } from './plan/sql.js';
export { type Rows, runReference } from './reference/run.js';
export { decodeBatch } from './reference/decode.js';
export type { Value } from './reference/value.js';
export { pruneRowGroups } from './split/prune.js';
export type { ZoneMap } from './split/zone-map.js';
export type * from './types/batch.js';
export { MillraceError } from './types/error.js';
export type * from './types/logical.js';
export type * from './types/physical.js';
export type * from './types/schema.js';
export { compilePlan } from './wasm/compile-plan.js';
