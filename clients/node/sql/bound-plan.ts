// The border to DuckDB's serialized plans. Their shape may change between versions: every node is read through one of these
// schemas where it is used, and a node that does not match is treated as unknown, which costs speed and never a row.
import { z } from 'zod';

export const duckType = z.looseObject({ id: z.string(), type_info: z.unknown().optional() });
export type DuckTypeJson = z.infer<typeof duckType>;

export const value = z.looseObject({ type: duckType, is_null: z.boolean(), value: z.unknown().optional() });
export type BoundValue = z.infer<typeof value>;

/** Any expression: its class, its kind and what each needs is read by the schemas below. */
export const expression = z.looseObject({ expression_class: z.string(), type: z.string(), alias: z.string().optional() });
export type BoundExpression = z.infer<typeof expression>;

export const reference = z.looseObject({ index: z.number().int().nonnegative(), return_type: duckType });
export const constant = z.looseObject({ value });
export const comparison = z.looseObject({ type: z.string(), left: expression, right: expression });
export const conjunction = z.looseObject({ type: z.string(), children: z.array(expression) });
export const operator = z.looseObject({ type: z.string(), return_type: duckType, children: z.array(expression) });
export const cast = z.looseObject({ child: expression, return_type: duckType, try_cast: z.boolean() });
export const between = z.looseObject({ input: expression, lower: expression, upper: expression, lower_inclusive: z.boolean(), upper_inclusive: z.boolean() });
export const caseOf = z.looseObject({ case_checks: z.array(z.looseObject({ when_expr: expression, then_expr: expression })), else_expr: expression, return_type: duckType });
export const scalarFunction = z.looseObject({
  name: z.string(), return_type: duckType, children: z.array(expression), catalog_name: z.string().optional(), schema_name: z.string().optional(),
});
export const aggregateFunction = z.looseObject({
  name: z.string(), return_type: duckType, children: z.array(expression), aggregate_type: z.string(),
  filter: z.unknown().optional(), order_bys: z.unknown().optional(),
});

/** A filter DuckDB moved into a scan; nested shapes are read by the translator. */
export const tableFilter = z.looseObject({ filter_type: z.string() });
export type TableFilter = z.infer<typeof tableFilter>;
export const constantFilter = z.looseObject({ comparison_type: z.string(), constant: value });
export const nestedFilter = z.looseObject({ child_filters: z.array(tableFilter) });
export const inFilter = z.looseObject({ values: z.array(value) });
export const expressionFilter = z.looseObject({ expr: expression });

export interface BoundOperator {
  readonly type: string;
  readonly children: readonly BoundOperator[];
  readonly [key: string]: unknown;
}
export const boundOperator: z.ZodType<BoundOperator> = z.looseObject({ type: z.string(), get children() { return z.array(boundOperator).default([]); } });

// 18446744073709551614 and ...615: DuckDB's virtual columns (no column, row id). Long integers arrive as strings.
const columnIndex = z.looseObject({ index: z.union([z.number().int().nonnegative(), z.string()]), child_indexes: z.array(z.unknown()).default([]) });
export const get = z.looseObject({
  name: z.string(),
  names: z.array(z.string()),
  returned_types: z.array(duckType),
  column_indexes: z.array(columnIndex),
  projection_ids: z.array(z.number().int().nonnegative()).default([]),
  table_filters: z.looseObject({ filters: z.array(z.looseObject({ key: z.number().int().nonnegative(), value: tableFilter })).default([]) }),
  function_data: z.looseObject({ table: z.string() }),
  extra_info: z.looseObject({ sample_options: z.unknown().optional() }).optional(),
});
export type BoundGet = z.infer<typeof get>;
export const projection = z.looseObject({ expressions: z.array(expression) });
export const filter = z.looseObject({ expressions: z.array(expression), projection_map: z.array(z.number().int()).default([]) });
export const aggregate = z.looseObject({ groups: z.array(expression), grouping_sets: z.array(z.array(z.number().int())), expressions: z.array(aggregateFunction), grouping_functions: z.array(z.unknown()).default([]) });
export const orderTerm = z.looseObject({ type: z.string(), null_order: z.string(), expression });
export const topN = z.looseObject({ orders: z.array(orderTerm), limit: z.number().int(), offset: z.number().int() });
export const orderBy = z.looseObject({ orders: z.array(orderTerm), projection_map: z.array(z.number().int()).default([]) });
const limitValue = z.looseObject({ type: z.string(), constant_integer: z.union([z.number(), z.string()]) });
export const limit = z.looseObject({ limit_val: limitValue, offset_val: limitValue });
export const distinct = z.looseObject({ distinct_type: z.string(), distinct_targets: z.array(expression), order_by: z.unknown().optional() });

/** What json_serialize_plan answers. */
export const serialized = z.union([
  z.looseObject({ error: z.literal(false), plans: z.array(boundOperator) }),
  z.looseObject({ error: z.literal(true), error_type: z.string(), error_message: z.string(), position: z.string().optional(), error_subtype: z.string().optional(), name: z.string().optional(), type: z.string().optional() }),
]);
export type SerializedError = Extract<z.infer<typeof serialized>, { error: true }>;
