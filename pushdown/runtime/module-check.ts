import { checkCode } from './module-code-check.js';
import { ModuleReader, reject } from './module-reader.js';
import { isValueType, type KernelExport, kernelExports, type ModuleShape, moduleLimits, type MutableGlobal } from './module-shape.js';

export const section = { custom: 0, type: 1, import: 2, function: 3, table: 4, memory: 5, global: 6, export: 7, start: 8, element: 9, code: 10, data: 11, dataCount: 12, tag: 13 } as const;
const i32 = 0x7f;
const funcref = 0x70;

/**
 * The static half of kernel ABI v1, on the bytes: one import (the memory, with a maximum, unshared, 32 bit), no start
 * function, no reference types but tables of functions, the ABI's exports with exactly their types, active data inside the
 * declared minimum (behind it may lie the window), no instruction that changes tables or drops segments. Stack discipline,
 * section order and unknown opcodes are the compiler's to check. One pass, no memory that grows with what a length field says.
 * Throws KernelFault(ModuleRejected).
 */
export function checkModule(bytes: Uint8Array): ModuleShape {
  if (bytes.length > moduleLimits.bytes) reject(`the module has ${bytes.length} bytes, at most ${moduleLimits.bytes} are taken`);
  const reader = new ModuleReader(bytes);
  for (const wanted of [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]) if (reader.byte() !== wanted) reject('not a WebAssembly 1.0 module');
  const parts: Parts = { types: [], functions: [], mutableGlobals: [], exports: new Map() };
  const seen = new Set<number>();
  while (!reader.done) {
    const id = reader.byte();
    const body = reader.part(reader.u32());
    if (id === section.custom) continue;
    if (seen.has(id)) reject(`section ${id} is there twice`);
    seen.add(id);
    checkSection(id, body, parts);
  }
  if (!parts.memory) reject("the import 'millrace' 'memory' is missing");
  return { ...parts.memory, mutableGlobals: parts.mutableGlobals, functions: exportedFunctions(parts) };
}

/** The sections stand in ascending order (the compiler refuses others), so what one needs of another has been read. */
interface Parts {
  readonly types: FunctionType[];
  /** Type index of each function; none is imported. */
  readonly functions: number[];
  readonly mutableGlobals: MutableGlobal[];
  readonly exports: Map<string, number>;
  memory?: Pick<ModuleShape, 'memoryPagesMin' | 'memoryPagesMax'> | undefined;
}

/** Whether parameters and results are i32s only, and how many. */
interface FunctionType { readonly onlyI32: boolean; readonly params: number; readonly results: number }

function checkSection(id: number, body: ModuleReader, parts: Parts): void {
  switch (id) {
    case section.type: readTypes(body, parts.types); break;
    case section.import: parts.memory = readImports(body); break;
    case section.function: for (let left = body.count(moduleLimits.functions, 'functions'); left > 0; left--) parts.functions.push(body.u32()); break;
    case section.table: checkTables(body); break;
    case section.memory: if (body.u32() > 0) reject("the memory must be imported as 'millrace' 'memory', not defined"); break;
    case section.global: readGlobals(body, parts.mutableGlobals); break;
    case section.export: readExports(body, parts.exports); break;
    case section.start: reject('a start function is not allowed: initialise in reset()'); break;
    case section.element: body.count(moduleLimits.segments, 'element segments'); break;
    case section.code: checkCode(body); break;
    case section.data: checkData(body, parts.memory?.memoryPagesMin ?? 0); break;
    case section.dataCount: break;
    case section.tag: reject('exceptions are not allowed'); break;
    default: reject(`unknown section ${id}`);
  }
}

function readTypes(body: ModuleReader, types: FunctionType[]): void {
  for (let left = body.count(moduleLimits.types, 'types'); left > 0; left--) {
    if (body.byte() !== 0x60) reject('a type that is not a function type is not allowed');
    let onlyI32 = true;
    const list = (): number => {
      const count = body.u32();
      for (let i = 0; i < count; i++) {
        const type = body.byte();
        if (!isValueType(type)) reject('a function type with references is not allowed');
        onlyI32 &&= type === i32;
      }
      return count;
    };
    const params = list();
    const results = list();
    types.push({ onlyI32, params, results });
  }
}

function readImports(body: ModuleReader): Pick<ModuleShape, 'memoryPagesMin' | 'memoryPagesMax'> | undefined {
  let memory: Pick<ModuleShape, 'memoryPagesMin' | 'memoryPagesMax'> | undefined;
  for (let left = body.u32(); left > 0; left--) {
    const module = body.name();
    const name = body.name();
    const kind = body.byte();
    if (module !== 'millrace' || name !== 'memory' || kind !== 2 || memory) reject(`the import '${module}' '${name}' is not allowed: only the memory 'millrace' 'memory' is`);
    const flags = body.byte();
    if (flags & 2) reject('a shared memory is not allowed');
    if (flags & 4) reject('a 64-bit memory is not allowed');
    if (flags > 7) reject('unknown memory flags');
    const memoryPagesMin = body.u32();
    if (!(flags & 1)) reject('the memory import must declare a maximum (65536 if it does not matter)');
    const memoryPagesMax = body.u32();
    if (memoryPagesMin > memoryPagesMax || memoryPagesMax > 65536) reject('the limits of the memory import are out of range');
    memory = { memoryPagesMin, memoryPagesMax };
  }
  return memory;
}

function checkTables(body: ModuleReader): void {
  let entries = 0;
  for (let left = body.u32(); left > 0; left--) {
    if (body.byte() !== funcref) reject('a table of anything but functions is not allowed');
    const flags = body.byte();
    if (flags > 1) reject('unknown table flags');
    entries += body.u32();
    if (entries > moduleLimits.tableEntries) reject(`tables of more than ${moduleLimits.tableEntries} entries are not allowed`);
    if (flags === 1) body.u32();
  }
}

function readGlobals(body: ModuleReader, mutable: MutableGlobal[]): void {
  const count = body.u32();
  for (let index = 0; index < count; index++) {
    const type = body.byte();
    const isMutable = body.byte() === 1;
    if (!isValueType(type)) reject(isMutable ? 'a mutable global of reference type is not allowed' : 'a global of reference type is not allowed');
    // A constant expression: one constant or global.get, then end (extended constant expressions are not in the allow-list).
    switch (body.byte()) {
      case 0x41: case 0x42: case 0x23: body.skipLeb(); break;
      case 0x43: body.skip(4); break;
      case 0x44: body.skip(8); break;
      case 0xfd: if (body.u32() !== 12) reject('only v128.const may initialise a vector global'); body.skip(16); break;
      default: reject('a global has an initialiser that is not a constant');
    }
    if (body.byte() !== 0x0b) reject('a global has an initialiser that is not a single constant');
    if (!isMutable) continue;
    if (mutable.length === moduleLimits.mutableGlobals) reject(`more than ${moduleLimits.mutableGlobals} mutable globals are not allowed`);
    mutable.push({ index, type });
  }
}

/** Only the ABI's functions are kept: whatever else a module exports stays inside it. */
function readExports(body: ModuleReader, exports: Map<string, number>): void {
  for (let left = body.u32(); left > 0; left--) {
    const name = body.name();
    const kind = body.byte();
    const index = body.u32();
    if (!Object.hasOwn(kernelExports, name)) continue;
    if (kind !== 0) reject(`the export '${name}' is not a function`);
    if (exports.has(name)) reject(`'${name}' is exported twice`);
    exports.set(name, index);
  }
}

function exportedFunctions({ types, functions, exports }: Parts): ReadonlyMap<KernelExport, number> {
  const found = new Map<KernelExport, number>();
  for (const [name, [params, results]] of Object.entries(kernelExports) as [KernelExport, readonly [number, number]][]) {
    const index = exports.get(name);
    if (index === undefined) reject(`the function '${name}' is not exported`);
    const type = types[functions[index] ?? -1];
    // Checked here, since a call with the wrong types fails in JavaScript, where it would look like our own mistake.
    if (!type?.onlyI32 || type.params !== params || type.results !== results) reject(`the function '${name}' must take ${params} and give ${results} values, each of them i32`);
    found.set(name, index);
  }
  return found;
}

/**
 * Active segments are written by the engine itself when a module is instantiated, not by guest code: over the read-only
 * window that would be a crash, not a trap.
 */
function checkData(body: ModuleReader, memoryPagesMin: number): void {
  for (let left = body.count(moduleLimits.segments, 'data segments'); left > 0; left--) {
    const kind = body.u32();
    if (kind > 2) reject('unknown kind of data segment');
    if (kind === 2 && body.u32() !== 0) reject('only memory 0 is allowed');
    let end = 0;
    if (kind !== 1) {
      if (body.byte() !== 0x41) reject('the offset of a data segment must be an i32.const');
      end = body.s32() >>> 0;
      if (body.byte() !== 0x0b) reject('the offset of a data segment must be a single i32.const');
    }
    const bytes = body.u32();
    body.skip(bytes);
    end += bytes;
    if (kind !== 1 && end > memoryPagesMin * 65536) reject(`a data segment reaches to byte ${end}, beyond the ${memoryPagesMin} pages the module declares`);
  }
}
