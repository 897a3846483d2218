import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { MemoryOp } from './encoder/opcodes.js';
import type { KernelModule } from './kernel-module.js';
import { bitIndexTable, swizzleTable } from './selection-tables.js';

// Selected rows of one block moved to the output. A block has at most blockRows rows; its selection is a bitmap, or a list of u16 row
// numbers in the block. Measured: lists win below some 10 % of rows, bitmaps with swizzles above.

export const blockRows = 2048;
export type Width = 1 | 2 | 4 | 8;

const loads = { 1: 'i32.load8_u', 2: 'i32.load16_u', 4: 'i32.load', 8: 'i64.load' } as const satisfies Record<Width, MemoryOp>;
const stores = { 1: 'i32.store8', 2: 'i32.store16', 4: 'i32.store', 8: 'i64.store' } as const satisfies Record<Width, MemoryOp>;
const bitOfByte = Uint8Array.from({ length: 16 }, (_, i) => 1 << (i & 7));

/** (bitmap, rows, list) -> (): the list of the set bits. Writes up to 8 entries past the end. */
export function listFunction(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('list', ['i32', 'i32', 'i32'], [], (f) => {
    const [bitmap, rows, list] = f.params as [Local, Local, Local];
    const [row, byte] = [f.local('i32'), f.local('i32')];
    const word = f.local('i64');
    const table = bitIndexTable(kernel);
    f.i32(0).set(row);
    f.while(
      () => f.get(row).get(rows).op('i32.lt_u'),
      () => {
        f.get(bitmap).mem('i64.load').tee(word).op('i64.eqz', 'i32.eqz').if(() => {
          f.get(word).op('i64.popcnt').i64(6n).op('i64.le_u').if(
            () => {
              f.loop((next) => {
                f.get(list).get(row).get(word).op('i64.ctz', 'i32.wrap_i64', 'i32.add').mem('i32.store16').add(list, 2);
                f.get(word).get(word).i64(1n).op('i64.sub', 'i64.and').tee(word).op('i64.eqz', 'i32.eqz').brIf(next);
              });
            },
            () => {
              for (let i = 0; i < 8; i++) {
                f.get(bitmap).mem('i32.load8_u', i).set(byte);
                f.get(list).get(byte).i32(3).op('i32.shl').mem('v128.load8x8_u', table).get(row);
                if (i > 0) f.i32(i * 8).op('i32.add');
                f.op('i16x8.splat', 'i16x8.add').mem('v128.store', 0, 1);
                f.get(list).get(byte).op('i32.popcnt').i32(1).op('i32.shl', 'i32.add').set(list);
              }
            },
          );
        });
        f.add(bitmap, 8).add(row, 64);
      },
    );
  });
}

/** (source, list, count, destination) -> (): destination[k] = source[list[k]]. */
export function gatherFunction(kernel: KernelModule, width: Width): FunctionBuilder {
  return kernel.helper(`gather-${width}`, ['i32', 'i32', 'i32', 'i32'], [], (f) => {
    const [source, list, count, destination] = f.params as [Local, Local, Local, Local];
    const shift = Math.log2(width);
    const end = f.local('i32');
    const one = (k: number) => {
      f.get(destination).get(source).get(list).mem('i32.load16_u', k * 2);
      if (shift > 0) f.i32(shift).op('i32.shl');
      f.op('i32.add').mem(loads[width]).mem(stores[width], k * width);
    };
    f.get(list).get(count).i32(1).op('i32.shl', 'i32.add').set(end);
    f.while(
      () => f.get(list).i32(8).op('i32.add').get(end).op('i32.le_u'),
      () => {
        for (let k = 0; k < 4; k++) one(k);
        f.add(list, 8).add(destination, 4 * width);
      },
    );
    f.while(
      () => f.get(list).get(end).op('i32.lt_u'),
      () => {
        one(0);
        f.add(list, 2).add(destination, width);
      },
    );
  });
}

/** (source, bitmap, rows, destination) -> (): the selected elements. Reads to the next multiple of 8 rows, writes 16 bytes past the end. */
export function compactFunction(kernel: KernelModule, width: Width): FunctionBuilder {
  return kernel.helper(`compact-${width}`, ['i32', 'i32', 'i32', 'i32'], [], (f) => {
    const [source, bitmap, rows, destination] = f.params as [Local, Local, Local, Local];
    const end = f.local('i32');
    const byte = f.local('i32');
    f.get(bitmap).get(rows).i32(7).op('i32.add').i32(3).op('i32.shr_u', 'i32.add').set(end);
    f.while(
      () => f.get(bitmap).get(end).op('i32.lt_u'),
      () => {
        f.get(bitmap).mem('i32.load8_u').set(byte);
        compactEight(kernel, f, width, () => f.get(source), byte, destination);
        f.add(bitmap, 1).add(source, 8 * width);
      },
    );
  });
}

/** Eight rows at the address, by the bits of `byte`. */
function compactEight(kernel: KernelModule, f: FunctionBuilder, width: Width, source: () => void, byte: Local, destination: Local): void {
  if (width === 1) {
    f.get(destination);
    source();
    f.mem('v128.load64_zero', 0, 0).get(byte).i32(3).op('i32.shl').mem('v128.load64_zero', bitIndexTable(kernel)).op('i8x16.swizzle').mem('v128.store', 0, 0);
    f.get(destination).get(byte).op('i32.popcnt', 'i32.add').set(destination);
    return;
  }
  const lanes = 16 / width;
  const table = swizzleTable(kernel, width);
  const bits = f.local('i32');
  for (let part = 0; part * lanes < 8; part++) {
    f.get(byte);
    if (part > 0) f.i32(part * lanes).op('i32.shr_u');
    if ((part + 1) * lanes < 8) f.i32((1 << lanes) - 1).op('i32.and');
    f.set(bits).get(destination);
    source();
    f.mem('v128.load', part * 16, 0).get(bits).i32(4).op('i32.shl').mem('v128.load', table).op('i8x16.swizzle').mem('v128.store', 0, 0);
    f.get(destination).get(bits).op('i32.popcnt').i32(Math.log2(width)).op('i32.shl', 'i32.add').set(destination);
  }
  f.release(bits);
}

/** (source bitmap, selection bitmap, rows, destination) -> (): bits of selected rows as bytes 0 or -1. */
export function compactBitsFunction(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('compact-bits', ['i32', 'i32', 'i32', 'i32'], [], (f) => {
    const [source, bitmap, rows, destination] = f.params as [Local, Local, Local, Local];
    const end = f.local('i32');
    const byte = f.local('i32');
    const constant = kernel.constant(bitOfByte);
    f.get(bitmap).get(rows).i32(7).op('i32.add').i32(3).op('i32.shr_u', 'i32.add').set(end);
    f.while(
      () => f.get(bitmap).get(end).op('i32.lt_u'),
      () => {
        f.get(bitmap).mem('i32.load8_u').set(byte);
        f.get(destination).get(source).mem('v128.load8_splat').i32(0).mem('v128.load', constant).op('v128.and').i32(0).mem('v128.load', constant).op('i8x16.eq');
        f.get(byte).i32(3).op('i32.shl').mem('v128.load64_zero', bitIndexTable(kernel)).op('i8x16.swizzle').mem('v128.store', 0, 0);
        f.get(destination).get(byte).op('i32.popcnt', 'i32.add').set(destination);
        f.add(bitmap, 1).add(source, 1);
      },
    );
  });
}

/** (source bitmap, list, count, destination) -> (): bits of listed rows as bytes 0 or -1. */
export function gatherBitsFunction(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('gather-bits', ['i32', 'i32', 'i32', 'i32'], [], (f) => {
    const [source, list, count, destination] = f.params as [Local, Local, Local, Local];
    const [end, row] = [f.local('i32'), f.local('i32')];
    f.get(list).get(count).i32(1).op('i32.shl', 'i32.add').set(end);
    f.while(
      () => f.get(list).get(end).op('i32.lt_u'),
      () => {
        f.get(destination).i32(0).get(source).get(list).mem('i32.load16_u').tee(row).i32(3).op('i32.shr_u', 'i32.add').mem('i32.load8_u');
        f.get(row).i32(7).op('i32.and', 'i32.shr_u').i32(1).op('i32.and', 'i32.sub').mem('i32.store8');
        f.add(list, 2).add(destination, 1);
      },
    );
  });
}

/** (bytes, rows, bitmap) -> (): bytes 0 or -1 to bits. Reads and writes to the next multiple of 16 rows. */
export function packBitsFunction(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('pack-bits', ['i32', 'i32', 'i32'], [], (f) => {
    const [bytes, rows, bitmap] = f.params as [Local, Local, Local];
    const end = f.local('i32');
    f.get(bytes).get(rows).op('i32.add').set(end);
    f.while(
      () => f.get(bytes).get(end).op('i32.lt_u'),
      () => {
        f.get(bitmap).get(bytes).mem('v128.load', 0, 0).op('i8x16.bitmask').mem('i32.store16');
        f.add(bytes, 16).add(bitmap, 2);
      },
    );
  });
}

/** (source, rows, destination) -> (): a copy with canonical NaNs; source may be the destination. Overshoots by up to 16 bytes. */
export function canonicalFunction(kernel: KernelModule, width: 4 | 8): FunctionBuilder {
  return kernel.helper(`canonical-${width}`, ['i32', 'i32', 'i32'], [], (f) => {
    const [source, rows, destination] = f.params as [Local, Local, Local];
    const end = f.local('i32');
    const value = f.local('v128');
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    if (width === 8) for (const at of [0, 8]) view.setBigUint64(at, 0x7ff8000000000000n, true);
    else for (const at of [0, 4, 8, 12]) view.setUint32(at, 0x7fc00000, true);
    const nan = kernel.constant(bytes);
    f.get(source).get(rows).i32(Math.log2(width)).op('i32.shl', 'i32.add').set(end);
    f.while(
      () => f.get(source).get(end).op('i32.lt_u'),
      () => {
        f.get(destination).get(source).mem('v128.load', 0, 0).tee(value).i32(0).mem('v128.load', nan);
        f.get(value).get(value).op(width === 8 ? 'f64x2.eq' : 'f32x4.eq', 'v128.bitselect').mem('v128.store', 0, 0);
        f.add(source, 16).add(destination, 16);
      },
    );
  });
}
