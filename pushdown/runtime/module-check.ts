import { checkCode } from './module-code-check.js';
import { ModuleReader, reject } from './module-reader.js';

export interface ModuleShape {
  readonly memoryPagesMin: number;
  readonly memoryPagesMax: number;
}

const section = { custom: 0, type: 1, import: 2, function: 3, table: 4, memory: 5, global: 6, export: 7, start: 8, element: 9, code: 10, data: 11, dataCount: 12, tag: 13 } as const;
const valueTypes = new Set([0x7f, 0x7e, 0x7d, 0x7c, 0x7b]);
/** A module larger than this is not worth compiling beside a scan. */
export const moduleBytesMax = 16 * 1024 * 1024;

/**
 * The static half of kernel ABI v1, on the bytes: one import (the memory, with a maximum, unshared, 32 bit), no start
 * function, no reference-typed globals, no instruction that changes tables or drops segments. Types, stack discipline and
 * unknown opcodes are the compiler's to check. Throws KernelFault(ModuleRejected).
 */
export function checkModule(bytes: Uint8Array): ModuleShape {
  if (bytes.length > moduleBytesMax) reject(`the module has ${bytes.length} bytes, at most ${moduleBytesMax} are taken`);
  const reader = new ModuleReader(bytes);
  for (const wanted of [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]) if (reader.byte() !== wanted) reject('not a WebAssembly 1.0 module');
  let memory: ModuleShape | undefined;
  while (!reader.done) {
    const id = reader.byte();
    const body = reader.part(reader.u32());
    if (id === section.import) memory = readImports(body);
    else if (id === section.memory) { if (body.u32() > 0) reject("the memory must be imported as 'millrace' 'memory', not defined"); }
    else if (id === section.start) reject('a start function is not allowed: initialise in reset()');
    else if (id === section.tag) reject('exceptions are not allowed');
    else if (id === section.global) checkGlobals(body);
    else if (id === section.code) checkCode(body);
    else if (id > section.tag) reject(`unknown section ${id}`);
  }
  return memory ?? reject("the import 'millrace' 'memory' is missing");
}

function readImports(body: ModuleReader): ModuleShape | undefined {
  let memory: ModuleShape | undefined;
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

function checkGlobals(body: ModuleReader): void {
  for (let left = body.u32(); left > 0; left--) {
    const type = body.byte();
    const mutable = body.byte() === 1;
    if (!valueTypes.has(type)) reject(mutable ? 'a mutable global of reference type is not allowed' : 'a global of reference type is not allowed');
    // A constant expression: one constant or global.get, then end (extended constant expressions are not in the allow-list).
    switch (body.byte()) {
      case 0x41: case 0x42: case 0x23: body.skipLeb(); break;
      case 0x43: body.skip(4); break;
      case 0x44: body.skip(8); break;
      case 0xfd: if (body.u32() !== 12) reject('only v128.const may initialise a vector global'); body.skip(16); break;
      default: reject('a global has an initialiser that is not a constant');
    }
    if (body.byte() !== 0x0b) reject('a global has an initialiser that is not a single constant');
  }
}
