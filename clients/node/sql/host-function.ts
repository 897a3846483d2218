import type { DuckBatch, NativeDuckDB } from '../../../native/index.js';
import type { FunctionTarget } from '../../../pushdown/expr/expr.js';
import { naturalPhysical } from '../../../pushdown/plan/schema.js';
import { quoteName } from '../../../pushdown/plan/sql-expr.js';
import { sqlType } from '../../../pushdown/plan/sql-type.js';
import { kernelFault } from '../../../pushdown/runtime/fault-error.js';
import { KernelInstance, loadedBytes } from '../../../pushdown/runtime/kernel.js';
import { KernelFault } from '../../../pushdown/runtime/kernel-fault.js';
import type { Batch, ColumnData } from '../../../pushdown/types/batch.js';
import { invariant } from '../../../pushdown/types/error.js';
import type { Column, DatasetSchema } from '../../../pushdown/types/schema.js';
import { compileScan } from '../../../pushdown/wasm/compile.js';
import { batchOf } from '../scan/kernel-batch.js';
import { moduleOf } from '../scan/kernel-pool.js';
import { duckTable } from './duck-table.js';

/** A user's function under the name statements call it by, with the modules its target's digest names. */
export interface HostFunction {
  readonly name: string;
  readonly target: FunctionTarget;
  readonly modules: NonNullable<DatasetSchema['modules']>;
}

/** Rows DuckDB asks for at a time (STANDARD_VECTOR_SIZE). */
const rowsMax = 2048;

/**
 * Users' functions in one DuckDB of the host: where a statement calls them above or beside what scan kernels take, its threads ask here,
 * and the same module computes the rows that a slot would run. A chunk of rows takes a row group's place: state is forgotten behind it.
 */
export class HostFunctions {
  readonly #engine: NativeDuckDB;
  /** Names DuckDB has; a function stays as long as the engine. */
  readonly #defined = new Set<string>();
  #failure: unknown;

  constructor(engine: NativeDuckDB) {
    this.#engine = engine;
  }

  /** What the statement's first call that failed threw; DuckDB knows its words only. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Gives the functions their names for a statement; the result takes them away. */
  async define(functions: readonly HostFunction[]): Promise<() => Promise<void>> {
    // What a statement before survived (TRY) is not this one's.
    this.#failure = undefined;
    const drops: string[] = [];
    for (const each of functions) {
      const { target, name } = each;
      const defined = `millrace ${target.digest} ${target.export}`;
      if (!this.#defined.has(defined)) {
        const rows = new FunctionRows(each);
        await this.#engine.registerFunction(defined, rows.params, rows.result, (count, buffers) => this.#call(rows, count, buffers));
        this.#defined.add(defined);
      }
      const [kernel, wanted] = name.split('.');
      const called = wanted === undefined ? quoteName(name) : `${quoteName(kernel ?? '')}.${quoteName(wanted)}`;
      const params = target.params.map((_, i) => `a${i}`);
      if (wanted !== undefined) await this.#engine.query(`CREATE SCHEMA IF NOT EXISTS ${quoteName(kernel ?? '')}`);
      await this.#engine.query(`CREATE OR REPLACE MACRO ${called}(${params.join(', ')}) AS ${quoteName(defined)}(${target.params.map((type, i) => `CAST(a${i} AS ${sqlType(type)})`).join(', ')})`);
      drops.push(`DROP MACRO IF EXISTS ${called}`);
    }
    return async () => {
      for (const drop of drops) await this.#engine.query(drop);
    };
  }

  #call(rows: FunctionRows, count: number, buffers: readonly (Uint8Array | null)[]): DuckBatch {
    try {
      return rows.run(count, buffers);
    } catch (error) {
      this.#failure ??= error instanceof KernelFault ? kernelFault(error.fault, `The function ${rows.name} failed on the host: ${error.message}.`, error) : error;
      throw error;
    }
  }
}

/** One function over chunks of arguments, by the kernel that a projection of it compiles to. */
class FunctionRows {
  readonly name: string;
  readonly params: readonly string[];
  readonly result: string;
  readonly #columns: readonly Column[];
  readonly #scan: ReturnType<typeof compileScan>;
  #kernel: { readonly instance: KernelInstance; readonly windowBytes: number } | undefined;

  constructor({ name, target, modules }: HostFunction) {
    this.name = name;
    const params = target.params.map((type, i): Column => ({ name: `a${i}`, type, physical: naturalPhysical(type), nullable: true }));
    // Rows are counted by a column even where the function takes none.
    this.#columns = params.length > 0 ? params : [{ name: 'rows', type: { kind: 'bool' }, physical: 'bool', nullable: false }];
    const schema: DatasetSchema = { name: 'arguments', columns: this.#columns, rows: rowsMax, rowGroups: 1, rowGroupRowsMax: rowsMax, modules };
    const args = params.map((column) => ({ kind: 'column' as const, name: column.name }));
    this.#scan = compileScan([{ kind: 'project', columns: [{ name: 'result', expr: { kind: 'call', name, target, args } }] }], schema);
    this.params = duckTable(params, params.map((c) => c.name), []).columns.map((c) => c.format);
    const [result] = duckTable(this.#scan.output, ['result'], []).columns;
    invariant(result, 'the projection has one column');
    this.result = result.format;
  }

  /** Throws KernelFault. */
  run(rows: number, buffers: readonly (Uint8Array | null)[]): DuckBatch {
    const given = this.#arguments(rows, buffers);
    const data = this.#scan.inputColumns.map((c) => given[c]!); // the compiler names columns of the schema
    const outputs: Batch[] = [];
    const instance = this.#instance(loadedBytes(data));
    try {
      for (const output of instance.runMorsel(rows, instance.loadBatch(data))) if (output.rows > 0) outputs.push(batchOf(output, this.#scan.output));
    } catch (error) {
      this.#kernel = undefined;
      throw error;
    }
    const [batch] = duckTable(this.#scan.output, ['result'], [joined(outputs, this.#scan.output)]).batches;
    invariant(batch, 'one batch goes in');
    return batch;
  }

  #instance(bytes: number): KernelInstance {
    if (!this.#kernel || this.#kernel.windowBytes < bytes) {
      const windowBytes = 2 ** Math.ceil(Math.log2(Math.max(65_536, bytes)));
      this.#kernel = { windowBytes, instance: new KernelInstance(moduleOf(this.#scan.wasm), { windowBytes, inputColumns: this.#scan.inputColumns.length }) };
    }
    return this.#kernel.instance;
  }

  #arguments(rows: number, buffers: readonly (Uint8Array | null)[]): ColumnData[] {
    if (this.params.length === 0) return [{ validity: null, offsets: null, data: new Uint8Array((rows + 7) >> 3) }];
    let next = 0;
    const take = (): Uint8Array => buffers[next++] ?? new Uint8Array(0);
    return this.#columns.map(({ physical }) => {
      const validity = buffers[next++] ?? allValid(rows);
      const offsets = physical === 'utf8' ? take() : undefined;
      return { validity, offsets: offsets ? new Int32Array(offsets.buffer, offsets.byteOffset, offsets.byteLength >> 2) : null, data: take() };
    });
  }
}

const allValid = (rows: number): Uint8Array => new Uint8Array((rows + 7) >>> 3).fill(0xff);

/** Batches one after the other as one: a kernel may give its text in pieces. */
function joined(batches: readonly Batch[], columns: readonly Column[]): Batch {
  const [first] = batches;
  if (first && batches.length === 1) return first;
  const rows = batches.reduce((sum, b) => sum + b.rows, 0);
  const validity = allValid(rows).fill(0);
  const offsets = new Int32Array(rows + 1);
  const parts: Uint8Array[] = [];
  let [row, bytes] = [0, 0];
  for (const batch of batches) {
    const [column] = batch.data;
    invariant(column?.offsets, 'only text comes in pieces');
    for (let i = 0; i < batch.rows; i++) {
      if (!column.validity || ((column.validity[i >> 3] ?? 0) >> (i & 7)) & 1) validity[row >> 3] = (validity[row >> 3] ?? 0) | (1 << (row & 7));
      bytes += (column.offsets[i + 1] ?? 0) - (column.offsets[i] ?? 0);
      offsets[++row] = bytes;
    }
    parts.push(column.data.subarray(column.offsets[0], column.offsets[batch.rows]));
  }
  return { rows, columns, data: [{ validity: columns[0]?.nullable ? validity : null, offsets, data: Buffer.concat(parts) }] };
}
