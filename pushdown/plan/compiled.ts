import type { Expr } from '../expr/expr.js';
import type { Column, DatasetSchema } from '../types/schema.js';
import type { Plan, PlanOp } from './plan.js';

/**
 * A plan cut for near-data execution. `scan` runs once per morsel, wherever the morsel is placed, and knows nothing of
 * other morsels: that is why never, always and any split give identical bits. `merge` folds the frames of all morsels in
 * row-group order on the host. `rest` is what no scan kernel could take: the host runs it over the merged rows, with
 * DuckDB, or with kernels where it calls users' functions.
 */
export interface CompiledPlan {
  readonly scan: ScanKernel;
  readonly merge: Merge;
  /** Operators above the merge, in order; empty in the usual case. */
  readonly rest: readonly PlanOp[];
  /** Columns after the merge, before `rest`. */
  readonly output: readonly Column[];
  /** Per operator of the plan: where it goes and why. */
  readonly decisions: readonly Decision[];
}

export interface ScanKernel {
  /** A module of kernel ABI v1 (docs/kernel-abi-v1.md). */
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** Dataset column of each kernel input, in order. */
  readonly inputColumns: readonly number[];
  /** What the buffers of a Result frame are. */
  readonly output: readonly Column[];
  readonly outputBytesMaxPerMorsel: number;
  /** Conjunction usable against zone maps; row groups it excludes need not be scanned. */
  readonly prune?: Expr;
  /** Morsels may stop once a finished prefix has this many rows. */
  readonly limitRows?: number;
}

export type Merge =
  /** Frames in morsel order are the result; limit and offset cut rows. */
  | { readonly kind: 'concat'; readonly offset: number; readonly limit?: number }
  /** A stateful kernel of the same ABI: each frame is an input batch, finish() gives the rows. */
  | { readonly kind: 'kernel'; readonly wasm: Uint8Array<ArrayBuffer>; readonly input: readonly Column[]; readonly output: readonly Column[] };

export interface Decision {
  readonly op: string;
  /** The reason as one of few: scan and partial run where the rows are. */
  readonly cause: 'scan' | 'partial' | 'unsupported' | 'above';
  readonly support: 'exact' | 'inexact' | 'unsupported';
  readonly reason: string;
}

export type CompilePlan = (plan: Plan, dataset: DatasetSchema) => CompiledPlan;
