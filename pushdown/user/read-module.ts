import { checkInstruction } from '../runtime/module-code-check.js';
import { ModuleReader, reject } from '../runtime/module-reader.js';
import { moduleLimits } from '../runtime/module-shape.js';
import type { BaseGlobal, BaseModule } from '../wasm/encoder/base-module.js';
import { ByteWriter } from '../wasm/encoder/byte-writer.js';
import type { FunctionType } from '../wasm/encoder/function-builder.js';
import { type ValType, valTypes } from '../wasm/encoder/opcodes.js';

const section = { custom: 0, type: 1, import: 2, function: 3, table: 4, memory: 5, global: 6, export: 7, start: 8, element: 9, code: 10, data: 11, dataCount: 12 } as const;
const typeOfByte = new Map<number, ValType>(Object.entries(valTypes).map(([name, byte]) => [byte, name as ValType]));
const memorySize = 0x3f;

/** A user's module taken apart, with what its maker said of it. */
export interface UserModule extends BaseModule {
  /** Content of the custom section `millrace`: JSON that `millrace kernel build` wrote; undefined: there is none. */
  readonly note: string | undefined;
  typeOf(functionIndex: number): FunctionType;
}

/**
 * Takes apart a module that is to become part of a kernel: types, functions, one table, globals, data, and the code, checked
 * instruction by instruction against the ABI's allow-list. It may import or define its memory, and nothing else may be imported.
 * `memory.size` becomes the pages it declares: allocators that take all memory there is then end where the module's own ends.
 * Whether it is valid is for the engine to say. Throws KernelFault(ModuleRejected).
 */
export function readUserModule(bytes: Uint8Array): UserModule {
  if (bytes.length > moduleLimits.bytes) reject(`the module has ${bytes.length} bytes, at most ${moduleLimits.bytes} are taken`);
  const reader = new ModuleReader(bytes);
  for (const wanted of [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]) if (reader.byte() !== wanted) reject('not a WebAssembly 1.0 module');
  let memoryPages = 0;
  let types: FunctionType[] = [];
  let functions: number[] = [];
  let tableEntries: number | undefined;
  let globals: BaseGlobal[] = [];
  let segments: { address: number | undefined; bytes: Uint8Array }[] = [];
  let elements = { count: 0, bytes: new Uint8Array(0) as Uint8Array };
  let code: ModuleReader | undefined;
  let note: string | undefined;
  const exports = new Map<string, number>();
  while (!reader.done) {
    const id = reader.byte();
    const body = reader.part(reader.u32());
    switch (id) {
      case section.custom:
        if (body.name() === 'millrace') note = new TextDecoder().decode(rest(body));
        break;
      case section.type: types = readTypes(body); break;
      case section.import: memoryPages = readImports(body); break;
      case section.function: functions = list(body, (r) => r.u32(), moduleLimits.functions); break;
      case section.table: tableEntries = readTable(body); break;
      case section.memory: if (body.u32() > 0) memoryPages = readMemoryType(body); break;
      case section.global: globals = readGlobals(body); break;
      case section.export: for (const { name, kind, index } of list(body, readExport)) if (kind === 0) exports.set(name, index); break;
      case section.start: reject('a start function is not allowed: export it as _initialize'); break;
      case section.element: elements = { count: body.u32(), bytes: rest(body) }; break;
      case section.dataCount: break;
      case section.code: code = body; break;
      case section.data: segments = list(body, readSegment); break;
      default: reject(`section ${id} is not allowed`);
    }
  }
  const bodies = code ? readBodies(code, memoryPages) : [];
  if (bodies.length !== functions.length) reject(`${functions.length} functions are declared, ${bodies.length} are there`);
  for (const { address, bytes: content } of segments) if (address !== undefined && address + content.length > memoryPages * 65536) reject('a data segment lies outside the memory the module declares');
  const typeOf = (index: number): FunctionType => types[functions[index] ?? -1] ?? reject(`function ${index} is not there`);
  return { types, functions, bodies, tableEntries, elements, globals, segments, memoryPages, exports, note, typeOf };
}

function list<T>(body: ModuleReader, read: (body: ModuleReader) => T, max: number = moduleLimits.segments): T[] {
  const out: T[] = [];
  for (let left = body.count(max, 'entries of a section'); left > 0; left--) out.push(read(body));
  return out;
}

const rest = (body: ModuleReader): Uint8Array => body.bytes.subarray(body.at, body.end);

function valType(byte: number): ValType {
  return typeOfByte.get(byte) ?? reject('a reference type is not allowed here');
}

function readTypes(body: ModuleReader): FunctionType[] {
  return list(body, (r) => {
    if (r.byte() !== 0x60) reject('only function types are allowed');
    return { params: list(r, (p) => valType(p.byte())), results: list(r, (p) => valType(p.byte())) };
  });
}

function readImports(body: ModuleReader): number {
  let pages: number | undefined;
  for (let left = body.u32(); left > 0; left--) {
    const module = body.name();
    const name = body.name();
    const kind = body.byte();
    if (kind !== 2 || pages !== undefined) reject(`the import '${module}' '${name}' is not allowed: a kernel imports its memory or nothing`);
    pages = readMemoryType(body);
  }
  return pages ?? 0;
}

function readMemoryType(body: ModuleReader): number {
  const flags = body.byte();
  if (flags > 1) reject('a shared or 64-bit memory is not allowed');
  const pages = body.u32();
  if (flags & 1) body.u32();
  if (pages > 16384) reject(`the module declares ${pages} pages of memory, at most 16384 (1 GiB) are possible`);
  return pages;
}

function readTable(body: ModuleReader): number | undefined {
  const count = body.u32();
  if (count > 1) reject('more than one table');
  if (count === 0) return undefined;
  if (body.byte() !== 0x70) reject('only a table of functions is allowed');
  const flags = body.byte();
  const entries = body.u32();
  if (flags & 1) body.u32();
  if (entries > moduleLimits.tableEntries - 2) reject(`a table of ${entries} entries, at most ${moduleLimits.tableEntries - 2} are taken`);
  return entries;
}

function readGlobals(body: ModuleReader): BaseGlobal[] {
  return list(body, (r) => {
    const type = valType(r.byte());
    const mutable = r.byte() === 1;
    const start = r.at;
    switch (r.byte()) {
      case 0x41: case 0x42: r.skipLeb(); break;
      case 0x43: r.skip(4); break;
      case 0x44: r.skip(8); break;
      case 0xfd: if (r.u32() !== 12) reject('only v128.const may initialise a vector global'); r.skip(16); break;
      default: reject('a global has an initialiser that is not a constant');
    }
    const initial = r.bytes.subarray(start, r.at);
    if (r.byte() !== 0x0b) reject('a global has an initialiser that is not a single constant');
    return { type, mutable, initial };
  });
}

const readExport = (body: ModuleReader) => ({ name: body.name(), kind: body.byte(), index: body.u32() });

function readSegment(body: ModuleReader): { address: number | undefined; bytes: Uint8Array } {
  const flags = body.u32();
  if (flags > 2) reject('unknown flags of a data segment');
  if (flags === 2 && body.u32() !== 0) reject('only memory 0 is allowed');
  let address: number | undefined;
  if (flags !== 1) {
    if (body.byte() !== 0x41) reject('a data segment must begin at a constant address');
    address = body.s32() >>> 0;
    if (body.byte() !== 0x0b) reject('a data segment must begin at a constant address');
  }
  const part = body.part(body.u32());
  return { address, bytes: part.bytes.subarray(part.at, part.end) };
}

function readBodies(body: ModuleReader, pages: number): Uint8Array[] {
  return list(body, (section) => {
    const code = section.part(section.u32());
    const start = code.at;
    for (let groups = code.u32(); groups > 0; groups--) {
      code.u32();
      valType(code.byte());
    }
    const sizes: number[] = [];
    while (!code.done) {
      if (code.bytes[code.at] === memorySize) sizes.push(code.at);
      checkInstruction(code);
    }
    return sizes.length === 0 ? code.bytes.subarray(start, code.end) : fixedSize(code.bytes, start, code.end, sizes, pages);
  });
}

function fixedSize(bytes: Uint8Array, start: number, end: number, sizes: readonly number[], pages: number): Uint8Array {
  const out = new ByteWriter();
  let from = start;
  for (const at of sizes) {
    out.bytes(bytes.subarray(from, at));
    out.u8(0x41);
    out.s32(pages);
    from = at + 2;
  }
  out.bytes(bytes.subarray(from, end));
  return out.copy();
}
