import type { FunctionType } from './function-builder.js';
import type { ValType } from './opcodes.js';

/**
 * A module somebody else wrote, taken apart, to which a ModuleBuilder appends its own functions: what is in it keeps its indices and
 * addresses, so its code is taken over as it is. Made by pushdown/user/read-module.ts.
 */
export interface BaseModule {
  readonly types: readonly FunctionType[];
  /** Type index of each function. */
  readonly functions: readonly number[];
  /** Entries of the code section, without their sizes. */
  readonly bodies: readonly Uint8Array[];
  /** Entries of its table; undefined: it has none. */
  readonly tableEntries: number | undefined;
  /** The element section behind its count. */
  readonly elements: { readonly count: number; readonly bytes: Uint8Array };
  readonly globals: readonly BaseGlobal[];
  /** address undefined: a passive segment. */
  readonly segments: readonly { readonly address: number | undefined; readonly bytes: Uint8Array }[];
  /** Pages (64 KiB) its data, stack and heap lie in: 0 up to this. */
  readonly memoryPages: number;
  /** Exported functions by name. */
  readonly exports: ReadonlyMap<string, number>;
}

export interface BaseGlobal {
  readonly type: ValType;
  readonly mutable: boolean;
  /** The constant instruction that gives its first value, without the end. */
  readonly initial: Uint8Array;
}

/** Modules of users in one: `whole` is what a ModuleBuilder appends to, `parts` is where each went. */
export interface LinkedModule {
  readonly whole: BaseModule;
  readonly parts: readonly LinkedPart[];
}

export interface LinkedPart {
  readonly module: BaseModule;
  /** Index in the whole of its first function, global and segment; address of its memory. */
  readonly functions: number;
  readonly globals: number;
  readonly segments: number;
  readonly memory: number;
}
