import type { LogicalType } from '../types/logical.js';

/**
 * Scalar expressions, SQL semantics: three-valued logic, NULL in NULL out (except and/or/isNull/coalesce), integer
 * arithmetic overflow is an error (ArithmeticOverflow). div computes in floats, IEEE: x/0 is an infinity or NaN. Exact x%0 is
 * NULL, float x%0 is NaN (DuckDB 1.5). Float comparison is total with NaN equal to NaN and above everything (DuckDB), -0 = 0.
 * A row that a filter below has dropped is not evaluated: it cannot raise an error.
 */
export type Expr =
  | { readonly kind: 'column'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: LiteralValue; readonly type: LogicalType }
  | { readonly kind: 'compare'; readonly op: CompareOp; readonly left: Expr; readonly right: Expr }
  | { readonly kind: 'and' | 'or'; readonly args: readonly Expr[] }
  | { readonly kind: 'not'; readonly arg: Expr }
  | { readonly kind: 'isNull'; readonly arg: Expr; readonly negated: boolean }
  | { readonly kind: 'between'; readonly arg: Expr; readonly low: Expr; readonly high: Expr }
  /** values are literals; a NULL among them follows SQL. */
  | { readonly kind: 'in'; readonly arg: Expr; readonly values: readonly Expr[]; readonly negated: boolean }
  /** SQL LIKE with % and _, no escape. */
  | { readonly kind: 'like'; readonly arg: Expr; readonly pattern: string; readonly negated: boolean }
  | { readonly kind: 'arith'; readonly op: ArithOp; readonly left: Expr; readonly right: Expr }
  | { readonly kind: 'negate'; readonly arg: Expr }
  | { readonly kind: 'cast'; readonly arg: Expr; readonly type: LogicalType }
  /** First argument that is not NULL (ML: fill). */
  | { readonly kind: 'coalesce'; readonly args: readonly Expr[] }
  /** ML: float64 in, float64 out. ln(1 + x); x < -1 gives NaN. Same polynomial everywhere: see pushdown/wasm/log1p. */
  | { readonly kind: 'log1p'; readonly arg: Expr }
  /** ML: min(max(arg, low), high), of the argument's type. */
  | { readonly kind: 'clamp'; readonly arg: Expr; readonly low: Expr; readonly high: Expr }
  /** ML: int32, how many of the ascending boundaries are <= arg (0..n). */
  | { readonly kind: 'bucketize'; readonly arg: Expr; readonly boundaries: readonly number[] }
  /**
   * A user's scalar function (docs/kernels.md): NULL if an argument is, and then it is not called. name: `kernel` or `kernel.function`.
   * Whoever plans finds the target; without it the expression has no type.
   */
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expr[]; readonly target?: FunctionTarget };

/** A function of a module, as the plan was typed with it. */
export interface FunctionTarget {
  /** SHA-256 of the module, hex. */
  readonly digest: string;
  readonly export: string;
  readonly params: readonly LogicalType[];
  readonly result: LogicalType;
}

export type CompareOp = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge';
export type ArithOp = 'add' | 'sub' | 'mul' | 'div' | 'mod';

/** null, bool, string, float64 as number, everything exact as bigint (decimals unscaled, days, microseconds). */
export type LiteralValue = null | boolean | number | bigint | string;
