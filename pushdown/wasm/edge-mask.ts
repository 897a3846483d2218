import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { KernelModule } from './kernel-module.js';

/** Leaves bytes of -1 for the rows of this step of sixteen that lie before `end`. */
export function edgeMask(kernel: KernelModule, f: FunctionBuilder, row: Local, end: Local): void {
  // Thirty-two bytes, the first half set: the fewer rows are left, the later the window into them begins.
  const edge = kernel.table('edge', () => Uint8Array.from({ length: 32 }, (_, i) => (i < 16 ? 0xff : 0)));
  const rest = f.local('i32');
  f.get(end).get(row).op('i32.sub').tee(rest).i32(16).get(rest).i32(16).op('i32.lt_u', 'select').set(rest);
  f.i32(16).get(rest).op('i32.sub').mem('v128.load', edge, 0);
  f.release(rest);
}
