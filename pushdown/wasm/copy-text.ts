import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { KernelModule } from './kernel-module.js';

/** (destination, source, bytes) -> (): short strings in steps of 8, long ones by memory.copy. Never reads past the source. */
export function copyTextFunction(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('copy-text', ['i32', 'i32', 'i32'], [], (f) => {
    const [destination, source, bytes] = f.params as [Local, Local, Local];
    f.get(bytes).i32(64).op('i32.gt_u').if(() => {
      f.get(destination).get(source).get(bytes).memoryCopy().op('return');
    });
    f.while(
      () => f.get(bytes).i32(8).op('i32.ge_u'),
      () => {
        f.get(destination).get(source).mem('i64.load', 0, 0).mem('i64.store', 0, 0);
        f.add(destination, 8).add(source, 8).add(bytes, -8);
      },
    );
    f.while(
      () => f.get(bytes),
      () => {
        f.get(destination).get(source).mem('i32.load8_u').mem('i32.store8');
        f.add(destination, 1).add(source, 1).add(bytes, -1);
      },
    );
  });
}
