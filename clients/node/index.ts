// The client library: import { connect, col, sum } from 'millrace'.
export { Client, type PutOptions, type PutProgress, type PutSource, type SqlExplanation, type VerifyReport } from './client.js';
export type { PlanEstimate } from './scan/estimate.js';
export { connect, type ConnectOptions } from './connect.js';
export type { ColumnDescription, DatasetDescription, RowGroupDescription, ZoneDescription } from './describe.js';
export { type AggregateCall, avg, count, max, min, sum } from './query/aggregate.js';
export { DatasetQuery, Grouping, type Selection } from './query/dataset-query.js';
export { coalesce, col, Expression, lit, type Operand } from './query/expression.js';
export { date, decimal, type Literal, timestamp } from './query/literal.js';
export { QueryResult } from './result/query-result.js';
export type { ResultStream } from './result/result-stream.js';
export { batchRows, type Row, type RowValue } from './result/value.js';
export type { ExplainOptions, ExplainRow, Explanation } from './scan/explain.js';
export type { Pushdown, QueryOptions, QueryStats } from './scan/options.js';
export type { Batch, ColumnData } from '../../pushdown/types/batch.js';
export type { DatasetColumnInfo, DatasetInfo } from '../../pushdown/types/dataset-info.js';
export { MillraceError } from '../../pushdown/types/error.js';
export type { LogicalType } from '../../pushdown/types/logical.js';
export type { Column, Schema } from '../../pushdown/types/schema.js';
