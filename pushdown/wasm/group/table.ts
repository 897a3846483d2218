import { invariant } from '../../types/error.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import { type KernelModule, abi } from '../kernel-module.js';
import type { Validity } from '../scalar.js';
import { compareTextFunction, equalTextFunction } from '../scalar-text.js';
import { type TextArena, splitText } from './text.js';
import { type AccumulatorSpec, accumulatorBytes, EntryLayout, type KeySpec, denseDimensions } from './layout.js';

export interface KeyWord {
  readonly word: Local;
  readonly valid: Validity;
}

const hashFactor = 0x9e3779b97f4a7c15n;
const initialCapacity = 1024;

/**
 * The groups of a kernel, kept in order of first appearance. Few possible keys: an array addressed by them. Otherwise an
 * open-addressing table of entry numbers over entries that lie one behind the other; it grows by doubling.
 */
export class GroupTable {
  readonly layout: EntryLayout;
  /** Global: how many groups there are. */
  readonly groups: number;
  /** Values of each key, of a table addressed by key. */
  readonly dimensions: readonly number[] | undefined;
  readonly #entries: number;
  /** Dense: addresses of used entries in order. Hash: entry numbers + 1 by hash. */
  readonly #index: number;
  readonly #capacity: number;
  readonly #capacityMin: number;

  constructor(
    readonly kernel: KernelModule,
    keys: readonly KeySpec[],
    accumulators: readonly AccumulatorSpec[],
    readonly groupsMax: number,
    readonly arena: TextArena,
  ) {
    invariant(accumulators[0]?.form === 'count', 'the first accumulator counts rows');
    this.layout = new EntryLayout(keys, accumulators);
    this.dimensions = denseDimensions(keys, groupsMax);
    const slots = this.dimensions ? this.dimensions.reduce((a, b) => a * b, 1) : groupsMax;
    this.#entries = kernel.reserve(slots * this.layout.bytes);
    this.#capacityMin = this.dimensions ? slots : Math.min(initialCapacity, capacityFor(groupsMax));
    this.#index = kernel.reserve((this.dimensions ? slots : capacityFor(groupsMax)) * 4);
    this.groups = kernel.module.global('i32');
    this.#capacity = kernel.module.global('i32', this.#capacityMin);
  }

  /** Forgets all groups. */
  reset(f: FunctionBuilder): void {
    if (this.dimensions) {
      const i = f.local('i32');
      f.i32(0).set(i);
      f.while(
        () => f.get(i).globalGet(this.groups).op('i32.lt_u'),
        () => {
          this.entryAt(f, i);
          f.i64(0n).mem('i64.store');
          f.add(i, 1);
        },
      );
      f.release(i);
    } else {
      // A table that has become much too large would cost more to clear than to use.
      f.globalGet(this.groups).i32(3).op('i32.shl').globalGet(this.#capacity).op('i32.lt_u').globalGet(this.#capacity).i32(this.#capacityMin).op('i32.gt_u', 'i32.and').if(() => {
        f.globalGet(this.#capacity).i32(1).op('i32.shr_u').globalSet(this.#capacity);
      });
      f.i32(this.#index).i32(0).globalGet(this.#capacity).i32(2).op('i32.shl').memoryFill();
    }
    f.i32(0).globalSet(this.groups);
    this.arena.reset(f);
  }

  /** Leaves the address of the entry of group number `i`. */
  entryAt(f: FunctionBuilder, i: Local): void {
    if (this.dimensions) f.get(i).i32(2).op('i32.shl').mem('i32.load', this.#index);
    else f.get(i).i32(this.layout.bytes).op('i32.mul').i32(this.#entries).op('i32.add');
  }

  /** Slots of a table addressed by key; undefined: it is addressed by hash. */
  get slots(): number | undefined {
    return this.dimensions?.reduce((a, b) => a * b, 1);
  }

  /** Address of the entry of a slot of a table addressed by key. */
  slotAddress(slot: number): number {
    return this.#entries + slot * this.layout.bytes;
  }

  /** Sets `entry` to the address of the group with these keys, made if it is new. Leaves f with -3 when there is no room. */
  find(f: FunctionBuilder, keys: readonly KeyWord[], entry: Local): void {
    if (this.dimensions) this.#findDense(f, keys, entry);
    else this.#findHashed(f, keys, entry);
  }

  #findDense(f: FunctionBuilder, keys: readonly KeyWord[], entry: Local): void {
    this.slotOf(f, keys);
    f.i32(this.layout.bytes).op('i32.mul').i32(this.#entries).op('i32.add').tee(entry);
    f.mem('i64.load').op('i64.eqz').if(() => {
      f.globalGet(this.groups).i32(2).op('i32.shl').get(entry).mem('i32.store', this.#index);
      this.#initialise(f, keys, entry);
    });
  }

  /** Leaves the number of the slot that the keys address. */
  slotOf(f: FunctionBuilder, keys: readonly KeyWord[]): void {
    const dimensions = this.dimensions;
    invariant(dimensions, 'the table is addressed by key');
    if (keys.length === 0) f.i32(0);
    keys.forEach(({ word, valid }, i) => {
      const range = this.layout.keys[i]?.range;
      invariant(range, 'a dense key has bounds');
      if (i > 0) f.i32(dimensions[i]!).op('i32.mul');
      f.get(word).op('i32.wrap_i64');
      if (range.min !== 0n) f.i32(Number(BigInt.asIntN(32, range.min))).op('i32.sub');
      if (valid) f.i32(dimensions[i]! - 1).get(valid).op('select');
      if (i > 0) f.op('i32.add');
    });
  }

  #findHashed(f: FunctionBuilder, keys: readonly KeyWord[], entry: Local): void {
    const { layout } = this;
    const hash = f.local('i64');
    const nulls = f.local('i32');
    const at = f.local('i32');
    const found = f.local('i32');
    const hash32 = f.local('i32');
    this.#hash(f, keys, hash, nulls);
    f.get(hash).op('i32.wrap_i64').tee(hash32).set(at);
    f.block((done) => {
      f.loop((again) => {
        // at: slot of the index, wrapped.
        f.get(at).globalGet(this.#capacity).i32(1).op('i32.sub', 'i32.and').set(at);
        f.get(at).i32(2).op('i32.shl').mem('i32.load', this.#index).tee(found).op('i32.eqz').if(() => {
          this.#insert(f, keys, { at, hash32, nulls }, entry);
          f.br(done);
        });
        f.get(found).i32(1).op('i32.sub').i32(layout.bytes).op('i32.mul').i32(this.#entries).op('i32.add').set(entry);
        f.get(entry).mem('i32.load', layout.hashAt).get(hash32).op('i32.eq');
        f.if(() => {
          this.#equalKeys(f, keys, nulls, entry);
          f.brIf(done);
        });
        f.add(at, 1).br(again);
      });
    });
    f.release(hash, nulls, at, found, hash32);
  }

  #hash(f: FunctionBuilder, keys: readonly KeyWord[], hash: Local, nulls: Local): void {
    f.i32(0).set(nulls).i64(0n).set(hash);
    keys.forEach(({ word, valid }, i) => {
      if (valid) f.get(nulls).get(valid).op('i32.eqz').i32(i).op('i32.shl', 'i32.or').set(nulls);
      f.get(hash).i64(29n).op('i64.rotl').get(word);
      if (this.layout.keys[i]?.kind === 'text') f.call(hashTextFunction(this.kernel));
      f.op('i64.xor').i64(hashFactor).op('i64.mul').set(hash);
    });
    if (keys.some((k) => k.valid)) f.get(hash).get(nulls).op('i64.extend_i32_u', 'i64.xor').i64(hashFactor).op('i64.mul').set(hash);
    f.get(hash).get(hash).i64(32n).op('i64.shr_u', 'i64.xor').set(hash);
  }

  /** Leaves 1 if the entry has these keys. */
  #equalKeys(f: FunctionBuilder, keys: readonly KeyWord[], nulls: Local, entry: Local): void {
    f.get(entry).mem('i32.load', this.layout.nullsAt).get(nulls).op('i32.eq');
    keys.forEach(({ word }, i) => {
      const at = this.layout.keysAt[i]!;
      if (this.layout.keys[i]?.kind !== 'text') {
        f.get(entry).mem('i64.load', at).get(word).op('i64.eq', 'i32.and');
        return;
      }
      const other = f.local('i64');
      f.get(entry).mem('i64.load', at).set(other);
      splitText(f, other);
      splitText(f, word);
      f.call(equalTextFunction(this.kernel)).op('i32.and');
      f.release(other);
    });
  }

  #insert(f: FunctionBuilder, keys: readonly KeyWord[], { at, hash32, nulls }: Record<'at' | 'hash32' | 'nulls', Local>, entry: Local): void {
    f.globalGet(this.groups).i32(this.groupsMax).op('i32.ge_u').if(() => {
      f.i32(abi.outOfHeap).op('return');
    });
    f.globalGet(this.groups).i32(this.layout.bytes).op('i32.mul').i32(this.#entries).op('i32.add').set(entry);
    f.get(at).i32(2).op('i32.shl').globalGet(this.groups).i32(1).op('i32.add').mem('i32.store', this.#index);
    f.get(entry).get(hash32).mem('i32.store', this.layout.hashAt);
    f.get(entry).get(nulls).mem('i32.store', this.layout.nullsAt);
    this.#initialise(f, keys, entry);
    f.globalGet(this.groups).i32(1).op('i32.shl').globalGet(this.#capacity).op('i32.gt_u').if(() => {
      f.call(this.#growFunction());
    });
  }

  /** Keys and empty accumulators of a new entry; counts the group. */
  #initialise(f: FunctionBuilder, keys: readonly KeyWord[], entry: Local): void {
    const { layout } = this;
    if (this.dimensions) {
      f.get(entry).i32(0);
      keys.forEach(({ valid }, i) => {
        if (valid) f.get(valid).op('i32.eqz').i32(i).op('i32.shl', 'i32.or');
      });
      f.mem('i32.store', layout.nullsAt);
    }
    keys.forEach(({ word }, i) => {
      if (layout.keys[i]?.kind === 'text') this.arena.keep(f, word);
      f.get(entry).get(word).mem('i64.store', layout.keysAt[i]!);
    });
    this.clearAccumulators(f, entry);
    f.globalGet(this.groups).i32(1).op('i32.add').globalSet(this.groups);
  }

  clearAccumulators(f: FunctionBuilder, entry: Local): void {
    this.layout.accumulators.forEach((a, i) => {
      const at = this.layout.accumulatorsAt[i]!;
      f.get(entry).i64(emptyWord(a)).mem('i64.store', at);
      for (let more = 8; more < accumulatorBytes(a); more += 8) f.get(entry).i64(0n).mem('i64.store', at + more);
    });
  }

  /** Doubles the index (times four while small) and enters all groups again. */
  #growFunction(): FunctionBuilder {
    return this.kernel.helper('grow_groups', [], [], (f) => {
      const i = f.local('i32');
      const at = f.local('i32');
      const mask = f.local('i32');
      f.globalGet(this.#capacity).i32(1).op('i32.shl').globalSet(this.#capacity);
      f.globalGet(this.#capacity).i32(1).op('i32.sub').set(mask);
      f.i32(this.#index).i32(0).globalGet(this.#capacity).i32(2).op('i32.shl').memoryFill();
      f.i32(0).set(i);
      f.while(
        () => f.get(i).globalGet(this.groups).op('i32.lt_u'),
        () => {
          this.entryAt(f, i);
          f.mem('i32.load', this.layout.hashAt).get(mask).op('i32.and').set(at);
          f.while(
            () => f.get(at).i32(2).op('i32.shl').mem('i32.load', this.#index),
            () => f.get(at).i32(1).op('i32.add').get(mask).op('i32.and').set(at),
          );
          f.get(at).i32(2).op('i32.shl').get(i).i32(1).op('i32.add').mem('i32.store', this.#index);
          f.add(i, 1);
        },
      );
    });
  }
}

/** What an accumulator holds before the first value. Text: all ones says there is none. */
function emptyWord(a: AccumulatorSpec): bigint {
  if (a.form !== 'min' && a.form !== 'max') return 0n;
  if (a.kind === 'text') return -1n;
  return a.form === 'min' ? 2n ** 63n - 1n : -(2n ** 63n);
}

/** A power of two at least twice `groups`. */
function capacityFor(groups: number): number {
  let capacity = 16;
  while (capacity < groups * 2) capacity *= 2;
  return capacity;
}

/** word of a text -> hash of its bytes. */
function hashTextFunction(kernel: KernelModule): FunctionBuilder {
  return kernel.helper('hash_text', ['i64'], ['i64'], (f) => {
    const [word] = f.params as [Local];
    const at = f.local('i32');
    const left = f.local('i32');
    const hash = f.local('i64');
    splitText(f, word);
    f.set(left).set(at);
    f.get(left).op('i64.extend_i32_u').set(hash);
    const mix = (load: () => void) => {
      f.get(hash).i64(29n).op('i64.rotl');
      load();
      f.op('i64.xor').i64(hashFactor).op('i64.mul').set(hash);
    };
    f.while(
      () => f.get(left).i32(8).op('i32.ge_u'),
      () => {
        mix(() => f.get(at).mem('i64.load', 0, 0));
        f.add(at, 8).add(left, -8);
      },
    );
    f.while(
      () => f.get(left),
      () => {
        mix(() => f.get(at).mem('i64.load8_u'));
        f.add(at, 1).add(left, -1);
      },
    );
    f.get(hash);
  });
}

/** Emits min or max over texts: true if the word in `value` comes before (min) or after (max) the one in `best`. */
export function textBeats(kernel: KernelModule, f: FunctionBuilder, form: 'min' | 'max', value: Local, best: Local): void {
  f.get(best).i64(-1n).op('i64.eq').if(
    () => f.i32(1),
    () => {
      splitText(f, value);
      splitText(f, best);
      f.call(compareTextFunction(kernel)).i32(0).op(form === 'min' ? 'i32.lt_s' : 'i32.gt_s');
    },
    'i32',
  );
}
