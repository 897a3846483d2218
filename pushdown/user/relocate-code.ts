import { checkInstruction } from '../runtime/module-code-check.js';
import { ModuleReader } from '../runtime/module-reader.js';
import { ByteWriter } from '../wasm/encoder/byte-writer.js';

/** Where a module went: what is added to each kind of index and to addresses, and the functions for what cannot be shifted. */
export interface Places {
  readonly types: number;
  readonly functions: number;
  readonly globals: number;
  /** Its address 0. */
  readonly memory: number;
  readonly tableEntries: number;
  /** Function indices; asked only where the code needs them. */
  copy(): number;
  fill(): number;
  init(segment: number): number;
  tableIndex(): number;
}

const offsetMax = 0xffff_ffff;

/** The body of a function (locals, then code) as it must read at other places. Its instructions were checked (read-module.ts). */
export function relocateBody(body: Uint8Array, places: Places): Uint8Array {
  const code = new ModuleReader(body);
  const out = new ByteWriter();
  for (let groups = code.u32(); groups > 0; groups--) {
    code.u32();
    code.byte();
  }
  out.bytes(body.subarray(0, code.at));
  while (!code.done) {
    const from = code.at;
    if (!rewritten(code, out, places)) {
      code.at = from;
      checkInstruction(code);
      out.bytes(body.subarray(from, code.at));
    }
  }
  return out.copy();
}

/** Writes the next instruction if it names anything that moved. */
function rewritten(code: ModuleReader, out: ByteWriter, places: Places): boolean {
  const op = code.byte();
  if (op >= 0x28 && op <= 0x3e) {
    out.u8(op);
    memoryArgument(code, out, places);
    return true;
  }
  switch (op) {
    case 0x02: case 0x03: case 0x04: return blockType(op, code, out, places);
    case 0x10: return indexed(op, code.u32() + places.functions, out);
    case 0x11: {
      const type = code.u32() + places.types;
      const table = code.u32();
      indexed(0x10, places.tableIndex(), out);
      indexed(op, type, out);
      out.u32(table);
      return true;
    }
    case 0x23: case 0x24: return indexed(op, code.u32() + places.globals, out);
    case 0xfc: return bulk(code, out, places);
    case 0xfd: return vector(code, out, places);
    default: return false;
  }
}

function indexed(op: number, index: number, out: ByteWriter): true {
  out.u8(op);
  out.u32(index);
  return true;
}

/** A type's index, or (as a negative number of one byte) one value type or none. */
function blockType(op: number, code: ModuleReader, out: ByteWriter, places: Places): boolean {
  const type = code.s32();
  if (type < 0) return false;
  out.u8(op);
  out.s32(type + places.types);
  return true;
}

/** Alignment and offset. An offset past what 32 bits hold is out of bounds for every address. */
function memoryArgument(code: ModuleReader, out: ByteWriter, places: Places): void {
  out.u32(code.u32());
  out.u32(Math.min(code.u32() + places.memory, offsetMax));
}

function bulk(code: ModuleReader, out: ByteWriter, places: Places): boolean {
  switch (code.u32()) {
    case 8: {
      const segment = code.u32();
      code.byte();
      return indexed(0x10, places.init(segment), out);
    }
    case 10:
      code.skip(2);
      return indexed(0x10, places.copy(), out);
    case 11:
      code.skip(1);
      return indexed(0x10, places.fill(), out);
    case 16:
      code.u32();
      out.u8(0x41);
      out.s32(places.tableEntries);
      return true;
    default: return false;
  }
}

function vector(code: ModuleReader, out: ByteWriter, places: Places): boolean {
  const op = code.u32();
  if (!(op <= 11 || (op >= 84 && op <= 93))) return false;
  out.u8(0xfd);
  out.u32(op);
  memoryArgument(code, out, places);
  if (op >= 84 && op <= 91) out.u8(code.byte());
  return true;
}
