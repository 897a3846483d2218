import type { Local } from './encoder/function-builder.js';
import type { Node } from './ir.js';
import type { VectorCompiler } from './vector.js';

const bitOfByte = Uint8Array.from({ length: 16 }, (_, i) => 1 << (i & 7));

/** Leaves 16 bits of a bitmap, from the step's row on, as bytes 0 or -1. */
export function validityMask(v: VectorCompiler, bitmap: Local): void {
  const at = v.f.local('i32');
  v.f.get(bitmap).get(v.row).i32(3).op('i32.shr_u', 'i32.add').set(at);
  emitBitmapMask(v, at);
  v.f.release(at);
}

/** Leaves the 16 bits at the address + offset as bytes 0 or -1. */
export function emitBitmapMask(v: VectorCompiler, at: Local, offset = 0): void {
  const { f } = v;
  f.get(at).mem('v128.load16_splat', offset, 0);
  f.v128(Uint8Array.from({ length: 16 }, (_, i) => i >> 3)).op('i8x16.swizzle');
  v.constant(bitOfByte);
  f.op('v128.and');
  v.constant(bitOfByte);
  f.op('i8x16.eq');
}

/** Mask of the rows where a node that has a vector form is not NULL; undefined: everywhere. */
export function validMaskOf(v: VectorCompiler, node: Node): Local | undefined {
  switch (node.op) {
    case 'column':
      return v.columnValidity(node.input);
    case 'const':
      return undefined;
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'compare':
      return combined(v, 'v128.and', [node.left, node.right].map((n) => validMaskOf(v, n)));
    case 'clamp':
      return combined(v, 'v128.and', [node.arg, node.low, node.high].map((n) => validMaskOf(v, n)));
    case 'known':
      return combined(v, 'v128.and', node.args.map((n) => validMaskOf(v, n)));
    case 'coalesce': {
      const parts = node.args.map((n) => validMaskOf(v, n));
      return parts.some((p) => p === undefined) ? undefined : combined(v, 'v128.or', parts);
    }
    case 'negate':
    case 'log1p':
    case 'rescale':
    case 'convert':
    case 'bucketize':
    case 'inRanges':
    case 'inCodes':
      return validMaskOf(v, node.arg);
    default:
      throw new Error(`invariant broken: ${node.op} has no vector form`);
  }
}

function combined(v: VectorCompiler, op: 'v128.and' | 'v128.or', parts: readonly (Local | undefined)[]): Local | undefined {
  const real = [...new Set(parts.filter((p) => p !== undefined))];
  if (real.length <= 1) return real[0];
  const out = v.f.local('v128');
  real.forEach((p, i) => {
    v.f.get(p);
    if (i > 0) v.f.op(op);
  });
  v.f.set(out);
  return out;
}
