// What instructions without an offset of their own do for a module whose memory or table begins elsewhere: a function each. An address or
// index outside what the module may name traps, as it would by itself.
import { FunctionBuilder, type FunctionType, type Local } from '../wasm/encoder/function-builder.js';

interface Made {
  readonly type: FunctionType;
  readonly body: Uint8Array;
}

function made(index: number, type: FunctionType, emit: (f: FunctionBuilder) => void): Made {
  const f = new FunctionBuilder(index, type);
  emit(f);
  return { type, body: f.encode().copy() };
}

/** Leaves the address as everybody else has it. One that would wrap becomes the last byte there can be: no memory reaches it. */
export function addressOf(f: FunctionBuilder, address: Local, memory: number): void {
  f.get(address).i32(memory).op('i32.add').i32(-1).get(address).i32(-1 - memory).op('i32.le_u', 'select');
}

export const copyMoved = (index: number, memory: number): Made =>
  made(index, { params: ['i32', 'i32', 'i32'], results: [] }, (f) => {
    const [to, from, bytes] = f.params as [Local, Local, Local];
    addressOf(f, to, memory);
    addressOf(f, from, memory);
    f.get(bytes).memoryCopy();
  });

export const fillMoved = (index: number, memory: number): Made =>
  made(index, { params: ['i32', 'i32', 'i32'], results: [] }, (f) => {
    const [to, value, bytes] = f.params as [Local, Local, Local];
    addressOf(f, to, memory);
    f.get(value).get(bytes).memoryFill();
  });

export const initMoved = (index: number, memory: number, segment: number): Made =>
  made(index, { params: ['i32', 'i32', 'i32'], results: [] }, (f) => {
    const [to, from, bytes] = f.params as [Local, Local, Local];
    addressOf(f, to, memory);
    f.get(from).get(bytes).memoryInit(segment);
  });

/** The index in the one table; one past the module's own entries traps before it could mean another module's function. */
export const tableIndex = (index: number, from: number, entries: number): Made =>
  made(index, { params: ['i32'], results: ['i32'] }, (f) => {
    const [at] = f.params as [Local];
    f.get(at).i32(entries).op('i32.ge_u').if(() => f.op('unreachable'));
    f.get(at).i32(from).op('i32.add');
  });
