/** A mutable global of a module: with linear memory, all the state a kernel has. */
export interface MutableGlobal {
  readonly index: number;
  /** Its value type as the binary format has it: 0x7f i32, 0x7e i64, 0x7d f32, 0x7c f64, 0x7b v128. */
  readonly type: number;
}

/** What the static check learnt of a module. */
export interface ModuleShape {
  readonly memoryPagesMin: number;
  readonly memoryPagesMax: number;
  readonly mutableGlobals: readonly MutableGlobal[];
  /** Function index of each export of the ABI. */
  readonly functions: ReadonlyMap<KernelExport, number>;
}

/** The exports of the ABI and their types, as [parameters, results] counted in i32s: there is no other type in them. */
export const kernelExports = { alloc: [2, 1], release_fn: [0, 1], schema: [0, 1], reset: [0, 0], process: [2, 1], finish: [1, 1] } as const satisfies Record<string, readonly [number, number]>;
export type KernelExport = keyof typeof kernelExports;

/**
 * Bounds of one module, beside its size. They keep what an engine makes of it (tables, wrappers, code) in proportion to what
 * any compiler gives; no kernel known to us reaches a tenth of one.
 */
export const moduleLimits = { bytes: 16 * 1024 * 1024, types: 4096, functions: 16_384, tableEntries: 65_536, mutableGlobals: 4096, segments: 65_536 } as const;

/** Numbers and vectors; anything else is a reference. */
export function isValueType(type: number): boolean {
  return type >= 0x7b && type <= 0x7f;
}
