import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { KernelModule } from './kernel-module.js';
import { emitBytesEqual, findFunction } from './text-search.js';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The longest run of a LIKE pattern without wildcards: every match contains it. Empty if there is none. */
export function longestPiece(pattern: string): Uint8Array {
  return pattern.split(/[%_]/u).map(encode).reduce((a, b) => (b.length > a.length ? b : a), new Uint8Array(0));
}

/** Whether containing the longest piece is all the pattern asks for. */
export const isContains = (pattern: string): boolean => /^%+[^%_]+%+$/u.test(pattern);

/** (address, bytes) -> 1 if the pattern, which has no `_`, matches: its ends in their places, what is between one after the other. */
export function likePiecesFunction(kernel: KernelModule, pattern: string): FunctionBuilder {
  return kernel.helper(`like-${pattern}`, ['i32', 'i32'], ['i32'], (f) => {
    const [at, bytes] = f.params as [Local, Local];
    const pieces = pattern.split('%').map(encode);
    const first = pieces[0] ?? encode('');
    const refuse = () => {
      f.i32(0).op('return');
    };
    if (pieces.length === 1) {
      f.get(bytes).i32(first.length).op('i32.ne').if(refuse);
      emitBytesEqual(f, at, first);
      return;
    }
    const last = pieces.at(-1) ?? encode('');
    const end = f.local('i32');
    f.get(bytes).i32(pieces.reduce((n, p) => n + p.length, 0)).op('i32.lt_u').if(refuse);
    emitBytesEqual(f, at, first);
    f.op('i32.eqz').if(refuse);
    f.get(at).get(bytes).op('i32.add').i32(last.length).op('i32.sub').set(end);
    emitBytesEqual(f, end, last);
    f.op('i32.eqz').if(refuse);
    f.add(at, first.length);
    for (const piece of pieces.slice(1, -1).filter((p) => p.length > 0)) {
      f.get(at).get(end).call(findFunction(kernel, piece)).tee(at).op('i32.eqz').if(refuse);
      f.add(at, piece.length);
    }
    f.i32(1);
  });
}
