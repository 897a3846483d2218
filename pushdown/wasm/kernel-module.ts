import { arrowFormat, valueBytes } from '../types/physical.js';
import type { Column } from '../types/schema.js';
import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { BaseModule, LinkedModule, LinkedPart } from './encoder/base-module.js';
import { ModuleBuilder } from './encoder/module-builder.js';
import type { ValType } from './encoder/opcodes.js';

/** Return values of process and finish (docs/kernel-abi-v1.md); from -1000 on those that only generated code gives. */
export const abi = { outputReady: 1, needInput: 2, overflow: -1, badInput: -2, outOfHeap: -3, textOutside: -1001, textTooLong: -1002 } as const;

/** Pointers of one input column, as locals of the function that read them. */
export interface InputColumn {
  readonly column: Column;
  /** Present exactly if the column is nullable. */
  readonly validity: Local | undefined;
  /** utf8 only. */
  readonly offsets: Local | undefined;
  readonly data: Local;
}

/** Where the buffers of one output column lie in linear memory. */
export interface OutputColumn {
  readonly column: Column;
  readonly validity: number | undefined;
  readonly offsets: number | undefined;
  readonly data: number;
  /** Address of the pointers [validity, data] or [validity, offsets, data]: a kernel may store others there. */
  readonly buffers: number;
}

const arrayBytes = 64;
const schemaBytes = 48;
const nullableFlag = 2;

/**
 * What every generated kernel shares: the exports of kernel ABI v1, static output structs and buffers, reading of inputs.
 * Callers fill `process`, `finish` and `reset`, then call build().
 */
export class KernelModule {
  readonly module: ModuleBuilder;
  /** (in, out) -> status. */
  readonly process: FunctionBuilder;
  /** (out) -> status. */
  readonly finish: FunctionBuilder;
  readonly reset: FunctionBuilder;
  readonly outputs: readonly OutputColumn[];
  readonly #children: number;
  readonly #tables = new Map<string, number>();
  readonly #helpers = new Map<string, FunctionBuilder>();
  readonly #scratch = new Map<object, number>();
  readonly #childArrays: number;

  /**
   * rowsMax: rows that one output batch may have. utf8BytesMax: capacity of the data buffer of each utf8 output column.
   * External: columns whose buffers the kernel points elsewhere (no room is reserved). base: modules whose functions it calls.
   * inner: the exports are somebody else's to make (pushdown/user/compose.ts), process, finish and reset are functions like others.
   */
  constructor(
    output: readonly Column[],
    rowsMax: number,
    options: {
      readonly utf8BytesMax?: (column: Column) => number;
      readonly external?: (index: number) => boolean;
      readonly base?: LinkedModule | undefined;
      readonly inner?: boolean;
    } = {},
  ) {
    const module = new ModuleBuilder(options.base?.whole);
    this.module = module;
    const exported = (name: string) => (options.inner ? undefined : name);
    this.process = module.func(['i32', 'i32'], ['i32'], exported('process'));
    this.finish = module.func(['i32'], ['i32'], exported('finish'));
    this.reset = module.func([], [], exported('reset'));
    if (!options.inner) for (const part of options.base?.parts ?? []) this.reset.call(freshPartFunction(module, part));
    const layouts = output.map((column, i) => this.#reserveOutput(column, rowsMax, options.external?.(i) ?? false, options.utf8BytesMax));
    this.outputs = layouts;
    this.#childArrays = this.#writeChildArrays(layouts);
    this.#children = module.data(
      words(output.map((_, i) => this.#childArrays + i * arrayBytes)),
      8,
    );
    const schema = this.#writeSchema(output);
    if (!options.inner) module.func([], ['i32'], 'schema').i32(schema);
    const noop = module.func(['i32'], []);
    module.func([], ['i32'], 'release_fn').i32(module.tableEntry(noop));
  }

  /** The function called `name`, made by the first who asks. */
  helper(name: string, params: readonly ValType[], results: readonly ValType[], body: (f: FunctionBuilder) => void): FunctionBuilder {
    const known = this.#helpers.get(name);
    if (known) return known;
    const made = this.module.func(params, results);
    this.#helpers.set(name, made);
    body(made);
    return made;
  }

  /** Linear memory of `bytes`, zero at instantiation. */
  reserve(bytes: number, align = 64): number {
    return this.module.reserve(bytes, align);
  }

  /** Memory that belongs to `owner`, made by the first who asks. */
  scratch(owner: object, bytes: number): number {
    const known = this.#scratch.get(owner);
    if (known !== undefined) return known;
    const made = this.module.reserve(bytes);
    this.#scratch.set(owner, made);
    return made;
  }

  data(bytes: Uint8Array, align = 16): number {
    return this.module.data(bytes, align);
  }

  /** Address of the constant table called `name`, made by the first who asks. */
  table(name: string, make: () => Uint8Array): number {
    const known = this.#tables.get(name);
    if (known !== undefined) return known;
    const made = this.module.data(make(), 16);
    this.#tables.set(name, made);
    return made;
  }

  /** Address of 16 constant bytes, one copy each. */
  constant(bytes: Uint8Array): number {
    return this.table(bytes.join(), () => bytes);
  }

  /**
   * Emits the reading of the batch at `batch`. Returns -2 from f when it has more than rowsMax rows, too few columns, or a
   * buffer is missing. rows: an i32 local that receives the row count.
   */
  readInput(f: FunctionBuilder, batch: Local, columns: readonly Column[], rows: Local, rowsMax: number): InputColumn[] {
    const fail = () => {
      f.i32(abi.badInput).op('return');
    };
    f.get(batch).mem('i64.load', 0).i64(BigInt(rowsMax)).op('i64.gt_u').if(fail);
    f.get(batch).mem('i64.load', 32).i64(BigInt(columns.length)).op('i64.lt_u').if(fail);
    f.get(batch).mem('i32.load', 0).set(rows);
    const buffers = f.local('i32');
    const pointer = (index: number): Local => {
      const local = f.local('i32');
      f.get(buffers).mem('i32.load', index * 4).tee(local).op('i32.eqz').get(rows).i32(0).op('i32.ne', 'i32.and').if(fail);
      return local;
    };
    const inputs = columns.map((column, i): InputColumn => {
      f.get(batch).mem('i32.load', 44).mem('i32.load', i * 4).mem('i32.load', 40).set(buffers);
      const validity = column.nullable ? pointer(0) : undefined;
      const offsets = column.physical === 'utf8' ? pointer(1) : undefined;
      const data = column.physical === 'utf8' ? this.#anyPointer(f, buffers, 2) : pointer(1);
      return { column, validity, offsets, data };
    });
    f.release(buffers);
    return inputs;
  }

  /** Emits the filling of the ArrowArray at `out` with a batch of `rows` rows. */
  writeOutput(f: FunctionBuilder, out: Local, rows: Local): void {
    const put = (address: () => void, offset: number, value: () => void) => {
      address();
      value();
      f.mem('i64.store', offset);
    };
    const at = () => f.get(out);
    put(at, 0, () => f.get(rows).op('i64.extend_i32_u'));
    put(at, 8, () => f.i64(0n));
    put(at, 16, () => f.i64(0n));
    put(at, 24, () => f.i64(1n));
    put(at, 32, () => f.i64(BigInt(this.outputs.length)));
    f.get(out).i32(this.#noBuffers).mem('i32.store', 40);
    f.get(out).i32(this.#children).mem('i32.store', 44);
    put(at, 48, () => f.i64(0n));
    f.get(out).i32(0).mem('i32.store', 56);
    this.outputs.forEach((_, i) => {
      put(() => f.i32(this.#childArrays), i * arrayBytes, () => f.get(rows).op('i64.extend_i32_u'));
    });
  }

  build(): Uint8Array<ArrayBuffer> {
    this.#writeAlloc();
    return this.module.build();
  }

  get #noBuffers(): number {
    return this.#childArrays + this.outputs.length * arrayBytes;
  }

  #anyPointer(f: FunctionBuilder, buffers: Local, index: number): Local {
    const local = f.local('i32');
    f.get(buffers).mem('i32.load', index * 4).set(local);
    return local;
  }

  #reserveOutput(column: Column, rowsMax: number, external: boolean, utf8BytesMax?: (column: Column) => number): OutputColumn {
    const { module } = this;
    const room = (bytes: number) => (external ? 0 : module.reserve(bytes));
    const bitmap = Math.ceil(rowsMax / 8);
    const validity = column.nullable ? room(bitmap) : undefined;
    const utf8 = column.physical === 'utf8';
    const offsets = utf8 ? room((rowsMax + 1) * 4) : undefined;
    const data = room(utf8 ? (utf8BytesMax?.(column) ?? 0) : column.physical === 'bool' ? bitmap : rowsMax * (valueBytes[column.physical] ?? 0));
    const pointers = utf8 ? [validity ?? 0, offsets ?? 0, data] : [validity ?? 0, data];
    return { column, validity, offsets, data, buffers: module.data(words(pointers), 8) };
  }

  #writeChildArrays(layouts: readonly OutputColumn[]): number {
    // One struct per child, then the buffer list [0] of the struct array itself.
    const bytes = new Uint8Array(layouts.length * arrayBytes + 8);
    const view = new DataView(bytes.buffer);
    layouts.forEach((layout, i) => {
      const at = i * arrayBytes;
      view.setBigInt64(at + 8, layout.column.nullable ? -1n : 0n, true);
      view.setBigInt64(at + 24, layout.column.physical === 'utf8' ? 3n : 2n, true);
      view.setUint32(at + 40, layout.buffers, true);
    });
    return this.module.data(bytes, 16);
  }

  #writeSchema(output: readonly Column[]): number {
    const { module } = this;
    const text = (s: string) => module.data(new TextEncoder().encode(`${s}\0`), 1);
    const bytes = new Uint8Array(output.length * schemaBytes);
    const view = new DataView(bytes.buffer);
    output.forEach((column, i) => {
      const at = i * schemaBytes;
      view.setUint32(at, text(arrowFormat[column.physical]), true);
      view.setUint32(at + 4, text(column.name), true);
      view.setBigInt64(at + 16, BigInt(column.nullable ? nullableFlag : 0), true);
    });
    const children = module.data(bytes, 16);
    const list = module.data(words(output.map((_, i) => children + i * schemaBytes)), 8);
    const root = new Uint8Array(schemaBytes);
    const rootView = new DataView(root.buffer);
    rootView.setUint32(0, text('+s'), true);
    rootView.setUint32(4, text(''), true);
    rootView.setBigInt64(24, BigInt(output.length), true);
    rootView.setUint32(32, list, true);
    return module.data(root, 16);
  }

  /** Bump allocation from the end of the static layout, bounded by the memory the runtime gave. */
  #writeAlloc(): void {
    const { module } = this;
    const next = module.global('i32', module.heapEnd);
    const f = module.func(['i32', 'i32'], ['i32'], 'alloc');
    const [bytes, align] = f.params as [Local, Local];
    const start = f.local('i64');
    // 64-bit arithmetic: hostile sizes cannot wrap.
    f.globalGet(next).op('i64.extend_i32_u').get(align).op('i64.extend_i32_u', 'i64.add').i64(1n).op('i64.sub');
    f.i64(0n).get(align).op('i64.extend_i32_u', 'i64.sub', 'i64.and').set(start);
    const end = f.local('i64');
    f.get(start).get(bytes).op('i64.extend_i32_u', 'i64.add').tee(end);
    f.memorySize().op('i64.extend_i32_u').i64(16n).op('i64.shl', 'i64.gt_u').if(() => {
      f.i32(0).op('return');
    });
    f.get(end).op('i32.wrap_i64').globalSet(next);
    f.get(start).op('i32.wrap_i64');
  }
}

/**
 * The function that brings a user's module to its first state: memory zero but for its data, globals at their first values, `_initialize`
 * called. Called at every reset it makes user code forget what it did, so that a morsel's result depends on no other morsel.
 */
export function freshPartFunction(module: ModuleBuilder, part: LinkedPart): FunctionBuilder {
  const { memory, module: user } = part;
  const f = module.func([], []);
  if (user.memoryPages > 0) {
    const all = user.memoryPages * 65536;
    f.i32(memory).i32(0);
    // It may say what it never wrote to: clearing that costs more than most kernels do.
    const top = user.exports.get('heap_top');
    if (top !== undefined && isHeapTop(user, top)) {
      const written = f.local('i32');
      f.call({ index: part.functions + top }).tee(written).i32(all).get(written).i32(all).op('i32.lt_u', 'select');
    } else f.i32(all);
    f.memoryFill();
  }
  user.segments.forEach(({ address, bytes }, i) => {
    if (address !== undefined && bytes.length > 0) f.i32(memory + address).i32(0).i32(bytes.length).memoryInit(part.segments + i);
  });
  user.globals.forEach(({ mutable, initial }, i) => {
    if (mutable) f.raw(initial).globalSet(part.globals + i);
  });
  const initialize = user.exports.get('_initialize');
  if (initialize !== undefined) f.call({ index: part.functions + initialize });
  return f;
}

function isHeapTop(user: BaseModule, index: number): boolean {
  const type = user.types[user.functions[index] ?? -1];
  return type?.params.length === 0 && type.results.join() === 'i32';
}

/** Little-endian 32-bit words. */
export function words(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value, true);
  return bytes;
}
