import { blockRows } from './compaction.js';
import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { KernelModule } from './kernel-module.js';

// Searching for constant bytes. Two neighbouring bytes of the needle are compared at sixteen places at a time; only where both fit
// the whole needle is looked at. The pair is the one that should be rarest in text.

const common = ' etaoinsrhldcumfpgwybvkxjqz';

/** The place in the needle where the rarest pair begins. */
export function rarestPair(needle: Uint8Array): number {
  const frequency = (byte: number) => {
    const rank = common.indexOf(String.fromCharCode(byte | (byte >= 0x41 && byte <= 0x5a ? 0x20 : 0)));
    return rank < 0 ? 0 : common.length - rank;
  };
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i + 1 < needle.length; i++) {
    const sum = frequency(needle[i]!) + frequency(needle[i + 1]!);
    if (sum < least) [best, least] = [i, sum];
  }
  return best;
}

const hex = (bytes: Uint8Array): string => [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');

/** Leaves 1 if the bytes at `at` (+ offset) are the constant's. Emits nothing but 1 for an empty constant. */
export function emitBytesEqual(f: FunctionBuilder, at: Local, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let done = 0;
  let terms = 0;
  const term = (load: () => void) => {
    f.get(at);
    load();
    if (terms++ > 0) f.op('i32.and');
  };
  for (; done + 8 <= bytes.length; done += 8) term(() => f.mem('i64.load', done, 0).i64(view.getBigInt64(done, true)).op('i64.eq'));
  if (done + 4 <= bytes.length) {
    term(() => f.mem('i32.load', done, 0).i32(view.getInt32(done, true)).op('i32.eq'));
    done += 4;
  }
  if (done + 2 <= bytes.length) {
    term(() => f.mem('i32.load16_u', done, 0).i32(view.getUint16(done, true)).op('i32.eq'));
    done += 2;
  }
  if (done < bytes.length) term(() => f.mem('i32.load8_u', done).i32(view.getUint8(done)).op('i32.eq'));
  if (terms === 0) f.i32(1);
}

/** (from, end) -> address of the first needle that lies in [from, end), or 0. May read up to 32 bytes past end. */
export function findFunction(kernel: KernelModule, needle: Uint8Array): FunctionBuilder {
  return kernel.helper(`find-${hex(needle)}`, ['i32', 'i32'], ['i32'], (f) => {
    const [at, end] = f.params as [Local, Local];
    const [last, hits, candidate] = [f.local('i32'), f.local('i32'), f.local('i32')];
    const pair = rarestPair(needle);
    const splat = (byte: number) => f.i32(0).mem('v128.load', kernel.constant(new Uint8Array(16).fill(byte)));
    const none = () => {
      f.i32(0).op('return');
    };
    f.get(at).i32(needle.length).op('i32.add').get(end).op('i32.gt_u').if(none);
    f.get(end).i32(needle.length).op('i32.sub').set(last);
    f.while(
      () => f.get(at).get(last).op('i32.le_u'),
      () => {
        f.get(at).mem('v128.load', pair, 0);
        splat(needle[pair]!).op('i8x16.eq');
        if (needle.length > 1) {
          f.get(at).mem('v128.load', pair + 1, 0);
          splat(needle[pair + 1]!).op('i8x16.eq', 'v128.and');
        }
        f.op('i8x16.bitmask').set(hits);
        f.while(
          () => f.get(hits),
          () => {
            f.get(at).get(hits).op('i32.ctz', 'i32.add').tee(candidate).get(last).op('i32.gt_u').if(none);
            emitBytesEqual(f, candidate, needle);
            f.if(() => {
              f.get(candidate).op('return');
            });
            f.get(hits).get(hits).i32(1).op('i32.sub', 'i32.and').set(hits);
          },
        );
        f.add(at, 16);
      },
    );
    f.i32(0);
  });
}

/**
 * (offsets of the block's first row, data, rows, bitmap) -> selected rows: clears the bits of rows that do not contain the needle. The
 * text of the whole block is searched in one go, hits are mapped to rows afterwards.
 */
export function keepContainingFunction(kernel: KernelModule, needle: Uint8Array): FunctionBuilder {
  return kernel.helper(`keep-${hex(needle)}`, ['i32', 'i32', 'i32', 'i32'], ['i32'], (f) => {
    const [offsets, data, rows, bitmap] = f.params as [Local, Local, Local, Local];
    const found = kernel.reserve(blockRows / 8 + 64);
    const [at, end, row, next, count] = [1, 2, 3, 4, 5].map(() => f.local('i32')) as [Local, Local, Local, Local, Local];
    const word = f.local('i64');
    f.i32(found).i32(0).i32(blockRows / 8).memoryFill();
    f.get(data).get(offsets).mem('i32.load').op('i32.add').set(at);
    f.get(data).get(offsets).get(rows).i32(2).op('i32.shl', 'i32.add').mem('i32.load').op('i32.add').set(end);
    f.i32(0).set(row);
    f.block((done) => {
      f.loop((search) => {
        f.get(at).get(end).call(findFunction(kernel, needle)).tee(at).op('i32.eqz').brIf(done);
        // The row whose text goes on past the hit.
        f.block((there) => {
          f.loop((further) => {
            f.get(row).get(rows).op('i32.ge_u').brIf(done);
            f.get(data).get(offsets).get(row).i32(2).op('i32.shl', 'i32.add').mem('i32.load', 4).op('i32.add').tee(next).get(at).op('i32.gt_u').brIf(there);
            f.add(row, 1).br(further);
          });
        });
        f.get(at).i32(needle.length).op('i32.add').get(next).op('i32.le_u').if(
          () => {
            f.get(row).i32(3).op('i32.shr_u').i32(found).op('i32.add').tee(count).get(count).mem('i32.load8_u').i32(1).get(row).i32(7).op('i32.and', 'i32.shl', 'i32.or').mem('i32.store8');
            f.get(next).set(at);
          },
          // It reaches into the next row: not a hit.
          () => f.add(at, 1),
        );
        f.br(search);
      });
    });
    f.i32(0).set(count).i32(0).set(at);
    f.while(
      () => f.get(at).get(rows).i32(7).op('i32.add').i32(3).op('i32.shr_u', 'i32.lt_u'),
      () => {
        f.get(bitmap).get(at).op('i32.add').get(bitmap).get(at).op('i32.add').mem('i64.load').get(at).mem('i64.load', found).op('i64.and').tee(word).mem('i64.store');
        f.get(count).get(word).op('i64.popcnt', 'i32.wrap_i64', 'i32.add').set(count).add(at, 8);
      },
    );
    f.get(count);
  });
}
