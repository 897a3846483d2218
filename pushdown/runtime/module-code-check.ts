import { type ModuleReader, reject } from './module-reader.js';
import { isValueType, moduleLimits } from './module-shape.js';

/**
 * Walks every instruction: an allow-list, so that a feature a newer engine learns does not come in unseen.
 * Refused: table mutation, data.drop, elem.drop, tail calls, references beyond function tables, exceptions, threads,
 * relaxed SIMD, memory indices other than 0.
 */
export function checkCode(body: ModuleReader): void {
  for (let left = body.count(moduleLimits.functions, 'function bodies'); left > 0; left--) {
    const code = body.part(body.u32());
    for (let groups = code.u32(); groups > 0; groups--) {
      code.u32();
      if (!isValueType(code.byte())) reject('a local of reference type is not allowed');
    }
    while (!code.done) checkInstruction(code);
  }
}

/** Steps over one instruction of the allow-list. Throws KernelFault(ModuleRejected) for any other. */
export function checkInstruction(code: ModuleReader): void {
  const op = code.byte();
  if (op >= 0x45 && op <= 0xc4) return; // comparisons, arithmetic, conversions, sign extension
  if (op >= 0x28 && op <= 0x3e) { skipMemoryArgument(code); return; }
  switch (op) {
    case 0x00: case 0x01: case 0x05: case 0x0b: case 0x0f: case 0x1a: case 0x1b: break;
    case 0x02: case 0x03: case 0x04: // block, loop, if: block type as s33
    case 0x0c: case 0x0d: case 0x10: // br, br_if, call
    case 0x20: case 0x21: case 0x22: case 0x23: case 0x24: // locals, globals
    case 0x41: case 0x42: code.skipLeb(); break;
    case 0x0e: for (let labels = code.u32() + 1; labels > 0; labels--) code.skipLeb(); break;
    case 0x11: code.skipLeb(); code.skipLeb(); break;
    case 0x1c: for (let types = code.u32(); types > 0; types--) if (!isValueType(code.byte())) reject('select of references is not allowed'); break;
    case 0x3f: case 0x40: expectMemoryZero(code); break;
    case 0x43: code.skip(4); break;
    case 0x44: code.skip(8); break;
    case 0xfc: checkBulk(code); break;
    case 0xfd: checkSimd(code); break;
    case 0x12: case 0x13: reject('tail calls are not allowed'); break;
    case 0x25: case 0x26: reject(op === 0x26 ? 'table.set is not allowed' : 'table.get is not allowed'); break;
    case 0xfe: reject('threads are not allowed'); break;
    default: reject(`the instruction 0x${op.toString(16)} is not allowed`);
  }
}

function checkBulk(code: ModuleReader): void {
  const op = code.u32();
  if (op <= 7) return; // saturating conversions
  switch (op) {
    case 8: code.skipLeb(); expectMemoryZero(code); break; // memory.init
    case 10: expectMemoryZero(code); expectMemoryZero(code); break;
    case 11: expectMemoryZero(code); break;
    case 16: code.skipLeb(); break; // table.size
    case 9: reject('data.drop is not allowed'); break;
    case 13: reject('elem.drop is not allowed'); break;
    case 12: case 14: case 15: case 17: reject('table mutation is not allowed'); break;
    default: reject(`the instruction 0xfc ${op} is not allowed`);
  }
}

function checkSimd(code: ModuleReader): void {
  const op = code.u32();
  if (op > 0xff) reject('relaxed SIMD is not allowed');
  if (op <= 11 || (op >= 84 && op <= 93)) skipMemoryArgument(code);
  if (op === 12 || op === 13) code.skip(16); // v128.const, i8x16.shuffle
  if ((op >= 21 && op <= 34) || (op >= 84 && op <= 91)) code.skip(1); // lanes
}

function skipMemoryArgument(code: ModuleReader): void {
  // Bit 6 of the alignment would announce a memory index.
  if (code.u32() > 15) reject('only memory 0 is allowed');
  code.skipLeb();
}

function expectMemoryZero(code: ModuleReader): void {
  if (code.byte() !== 0) reject('only memory 0 is allowed');
}
