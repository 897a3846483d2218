import { MillraceError } from '../types/error.js';
import { reject } from '../runtime/module-reader.js';
import { moduleLimits } from '../runtime/module-shape.js';
import type { BaseModule, LinkedModule, LinkedPart } from '../wasm/encoder/base-module.js';
import type { FunctionType } from '../wasm/encoder/function-builder.js';
import { copyMoved, fillMoved, initMoved, tableIndex } from './moved-operations.js';
import { type Places, relocateBody } from './relocate-code.js';
import { relocateElements } from './relocate-elements.js';

/** Modules in one kernel; what the device is told of them has room for as many (kUserModulesMax). */
export const linkedModulesMax = 64;
const pageBytes = 65_536;
const pagesMax = 65_536;

/** A module by itself: nothing of it moves. */
export function linkedAlone(module: BaseModule): LinkedModule {
  return { whole: module, parts: [unmoved(module)] };
}

const unmoved = (module: BaseModule): LinkedPart => ({ module, functions: 0, globals: 0, segments: 0, memory: 0 });

/**
 * Puts modules of users one behind the other into one: each keeps a memory, globals and a table of its own, at other places than it thinks.
 * The first stays as it is, the code of the others is written anew: indices shifted, addresses by the offset loads and stores have anyway,
 * so that computing costs the same. A module sees its own memory from address 0 on and what lies behind all modules' memory (the rows),
 * never what lies before it.
 */
export class ModuleLinker {
  readonly #parts: LinkedPart[] = [];
  #whole: BaseModule | undefined;

  constructor(first?: BaseModule) {
    if (first) this.add(first);
  }

  /** undefined: nothing was added. Ask when everything is. */
  get linked(): LinkedModule | undefined {
    return this.#whole && { whole: this.#whole, parts: this.#parts };
  }

  /** Where the module is; it is added by the first who asks. @throws MillraceError MR_FUNCTION_MODULES; KernelFault(ModuleRejected) */
  add(module: BaseModule): LinkedPart {
    const known = this.#parts.find((part) => part.module === module);
    if (known) return known;
    if (this.#parts.length === linkedModulesMax) throw new MillraceError('MR_FUNCTION_MODULES', `the query uses more than ${linkedModulesMax} modules of functions at once`, { httpStatus: 422 });
    const { whole, part } = this.#whole ? moved(this.#whole, module) : { whole: module, part: unmoved(module) };
    this.#whole = whole;
    this.#parts.push(part);
    return part;
  }
}

function moved(before: BaseModule, module: BaseModule): { readonly whole: BaseModule; readonly part: LinkedPart } {
  const part: LinkedPart = { module, functions: before.functions.length, globals: before.globals.length, segments: before.segments.length, memory: before.memoryPages * pageBytes };
  const entries = module.tableEntries ?? 0;
  const tableFrom = before.tableEntries ?? 0;
  if (before.memoryPages + module.memoryPages > pagesMax) reject('the modules of a query declare more than 4 GiB of memory together');
  if (tableFrom + entries > moduleLimits.tableEntries - 2) reject(`the modules of a query have tables of more than ${moduleLimits.tableEntries - 2} entries together`);
  const types: FunctionType[] = [...before.types, ...module.types];
  const functions = [...before.functions, ...module.functions.map((type) => type + before.types.length)];
  // Behind the module's own functions come those that do for it what an instruction cannot at another place.
  const bodies = [...before.bodies];
  const helpers: Uint8Array[] = [];
  const helper = (make: (index: number) => { readonly type: FunctionType; readonly body: Uint8Array }): (() => number) => {
    let index: number | undefined;
    return () => {
      if (index !== undefined) return index;
      index = part.functions + module.functions.length + helpers.length;
      const { type, body } = make(index);
      helpers.push(body);
      functions.push(types.push(type) - 1);
      return index;
    };
  };
  const inits = module.segments.map((_, i) => helper((index) => initMoved(index, part.memory, part.segments + i)));
  const places: Places = {
    types: before.types.length, functions: part.functions, globals: part.globals, memory: part.memory, tableEntries: entries,
    copy: helper((index) => copyMoved(index, part.memory)),
    fill: helper((index) => fillMoved(index, part.memory)),
    init: (segment) => (inits[segment] ?? reject(`data segment ${segment} is not there`))(),
    tableIndex: helper((index) => tableIndex(index, tableFrom, entries)),
  };
  for (const body of module.bodies) bodies.push(relocateBody(body, places));
  const elements = relocateElements(module.elements, entries, { table: tableFrom, functions: part.functions });
  const whole: BaseModule = {
    types, functions, bodies: [...bodies, ...helpers],
    tableEntries: before.tableEntries === undefined && module.tableEntries === undefined ? undefined : tableFrom + entries,
    elements: { count: before.elements.count + elements.count, bytes: joined([before.elements.bytes, elements.bytes]) },
    globals: [...before.globals, ...module.globals],
    segments: [...before.segments, ...module.segments.map(({ address, bytes }) => ({ address: address === undefined ? undefined : address + part.memory, bytes }))],
    memoryPages: before.memoryPages + module.memoryPages,
    exports: new Map(),
  };
  return { whole, part };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
