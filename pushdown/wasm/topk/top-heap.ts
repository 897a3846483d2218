import { invariant } from '../../types/error.js';
import type { OrderBy } from '../../plan/plan.js';
import type { FunctionBuilder, Local } from '../encoder/function-builder.js';
import { splitText } from '../group/text.js';
import type { WordKind } from '../group/word.js';
import type { KernelModule } from '../kernel-module.js';
import type { Validity } from '../scalar.js';
import { compareTextFunction } from '../scalar-text.js';

export interface SortKey {
  readonly kind: WordKind;
  readonly nullable: boolean;
  readonly order: Pick<OrderBy, 'descending' | 'nullsFirst'>;
}

/** One word of an entry that takes part in comparison; ascending, except texts, which cannot be turned round. */
interface CompareWord {
  readonly key: number;
  readonly what: 'rank' | 'value' | 'text';
  readonly at: number;
}

/**
 * The best `capacity` rows seen, in linear memory: a heap of entry addresses with the worst on top. Ties go to the row that
 * came first (smaller sequence number). Entry: [sequence][compare words][payload].
 */
export class TopHeap {
  /** Global: entries in the heap. */
  readonly size: number;
  readonly payloadAt: number;
  readonly #words: readonly CompareWord[];
  readonly #bytes: number;
  readonly #pool: number;
  readonly #heap: number;
  /** Global: address of the entry to fill next while the heap is full. */
  readonly #spare: number;

  constructor(
    readonly kernel: KernelModule,
    readonly keys: readonly SortKey[],
    readonly capacity: number,
    payloadBytes: number,
  ) {
    let at = 8;
    this.#words = keys.flatMap((k, key) => {
      const value = { key, what: k.kind === 'text' ? 'text' : 'value' } as const;
      const words = k.nullable ? [{ key, what: 'rank' } as const, value] : [value];
      return words.map((w) => ({ ...w, at: (at += 8) - 8 }));
    });
    this.payloadAt = at;
    this.#bytes = at + payloadBytes;
    this.#pool = kernel.reserve((capacity + 1) * this.#bytes);
    this.#heap = kernel.reserve(capacity * 4);
    this.size = kernel.module.global('i32');
    this.#spare = kernel.module.global('i32', this.#pool + capacity * this.#bytes);
  }

  reset(f: FunctionBuilder): void {
    f.i32(0).globalSet(this.size).i32(this.#pool + this.capacity * this.#bytes).globalSet(this.#spare);
  }

  /** Where the text of key `key` lies in an entry. */
  textAt(key: number): number {
    const word = this.#words.find((w) => w.key === key && w.what === 'text');
    invariant(word, 'the key is a text');
    return word.at;
  }

  /** Leaves the address of entry number `i` of the (sorted) heap. */
  entryAt(f: FunctionBuilder, i: Local): void {
    f.get(i).i32(2).op('i32.shl').mem('i32.load', this.#heap);
  }

  /**
   * Offers a row. Keys are words (word.ts) with their validity; sequence is an i64 local. `payload` writes into the entry at
   * its local and runs only for rows that are kept.
   */
  offer(f: FunctionBuilder, keys: readonly { readonly word: Local; readonly valid: Validity }[], sequence: Local, payload: (entry: Local) => void): void {
    const entry = f.local('i32');
    const full = f.local('i32');
    f.block((refused) => {
      f.globalGet(this.size).i32(this.capacity).op('i32.ge_u').set(full);
      const [first] = this.#words;
      if (first && first.what !== 'text') {
        // Most rows end here: worse than the worst by their first word.
        f.get(full).if(() => {
          this.#compareWord(f, first, keys);
          f.i32(0).mem('i32.load', this.#heap).mem('i64.load', first.at).op('i64.gt_s').brIf(refused);
        });
      }
      f.globalGet(this.#spare).globalGet(this.size).i32(this.#bytes).op('i32.mul').i32(this.#pool).op('i32.add').get(full).op('select').set(entry);
      f.get(entry).get(sequence).mem('i64.store');
      for (const w of this.#words) {
        f.get(entry);
        this.#compareWord(f, w, keys);
        f.mem('i64.store', w.at);
      }
      f.get(full).if(() => {
        f.get(entry).i32(0).mem('i32.load', this.#heap).call(this.#before()).op('i32.eqz').brIf(refused);
      });
      payload(entry);
      f.get(full).if(
        () => {
          f.i32(0).mem('i32.load', this.#heap).globalSet(this.#spare);
          f.i32(0).get(entry).mem('i32.store', this.#heap);
          f.i32(0).globalGet(this.size).call(this.#siftDown());
        },
        () => {
          f.globalGet(this.size).i32(2).op('i32.shl').get(entry).mem('i32.store', this.#heap);
          f.globalGet(this.size).i32(1).op('i32.add').globalSet(this.size);
          f.call(this.#siftUp());
        },
      );
    });
    f.release(entry, full);
  }

  /** Puts the entries into order, best first. The heap is one no longer. */
  sort(f: FunctionBuilder): void {
    const last = f.local('i32');
    const swap = f.local('i32');
    f.globalGet(this.size).set(last);
    f.while(
      () => f.get(last).i32(1).op('i32.gt_u'),
      () => {
        f.add(last, -1);
        f.i32(0).mem('i32.load', this.#heap).set(swap);
        f.i32(0).get(last).i32(2).op('i32.shl').mem('i32.load', this.#heap).mem('i32.store', this.#heap);
        f.get(last).i32(2).op('i32.shl').get(swap).mem('i32.store', this.#heap);
        f.i32(0).get(last).call(this.#siftDown());
      },
    );
    f.release(last, swap);
  }

  #compareWord(f: FunctionBuilder, { key, what }: CompareWord, keys: readonly { readonly word: Local; readonly valid: Validity }[]): void {
    const { word, valid } = keys[key]!;
    const { descending, nullsFirst } = this.keys[key]!.order;
    if (what === 'rank') {
      f.i64(0n).i64(nullsFirst ? -1n : 1n);
      if (valid) f.get(valid);
      else f.i32(1);
      f.op('select');
      return;
    }
    f.get(word);
    if (what === 'value' && descending) f.i64(-1n).op('i64.xor');
    // NULLs are equal to each other.
    if (valid) f.i64(0n).get(valid).op('select');
  }

  /** (a, b) -> 1 if entry a comes before entry b. */
  #before(): FunctionBuilder {
    return this.kernel.helper('entry_before', ['i32', 'i32'], ['i32'], (f) => {
      const [a, b] = f.params as [Local, Local];
      const x = f.local('i64');
      const y = f.local('i64');
      const order = f.local('i32');
      for (const w of this.#words) {
        f.get(a).mem('i64.load', w.at).set(x).get(b).mem('i64.load', w.at).set(y);
        if (w.what === 'text') {
          const [left, right] = this.keys[w.key]?.order.descending ? [y, x] : [x, y];
          splitText(f, left);
          splitText(f, right);
          f.call(compareTextFunction(this.kernel)).tee(order).if(() => {
            f.get(order).i32(0).op('i32.lt_s', 'return');
          });
        } else
          f.get(x).get(y).op('i64.ne').if(() => {
            f.get(x).get(y).op('i64.lt_s', 'return');
          });
      }
      f.get(a).mem('i64.load').get(b).mem('i64.load').op('i64.lt_u');
    });
  }

  /** Leaves the address in slot `i`. */
  #slot(f: FunctionBuilder, i: Local): void {
    f.get(i).i32(2).op('i32.shl').mem('i32.load', this.#heap);
  }

  /** Moves the last entry up to where no parent comes before it. */
  #siftUp(): FunctionBuilder {
    return this.kernel.helper('sift_up', [], [], (f) => {
      const i = f.local('i32');
      const parent = f.local('i32');
      const moving = f.local('i32');
      f.globalGet(this.size).i32(1).op('i32.sub').set(i);
      this.#slot(f, i);
      f.set(moving);
      f.block((done) => {
        f.loop((again) => {
          f.get(i).op('i32.eqz').brIf(done);
          f.get(i).i32(1).op('i32.sub').i32(1).op('i32.shr_u').set(parent);
          this.#slot(f, parent);
          f.get(moving).call(this.#before()).op('i32.eqz').brIf(done);
          f.get(i).i32(2).op('i32.shl');
          this.#slot(f, parent);
          f.mem('i32.store', this.#heap).get(parent).set(i).br(again);
        });
      });
      f.get(i).i32(2).op('i32.shl').get(moving).mem('i32.store', this.#heap);
    });
  }

  /** (slot, count): moves the entry down within the first `count` slots until no child is worse. */
  #siftDown(): FunctionBuilder {
    return this.kernel.helper('sift_down', ['i32', 'i32'], [], (f) => {
      const [i, count] = f.params as [Local, Local];
      const child = f.local('i32');
      const moving = f.local('i32');
      const right = f.local('i32');
      this.#slot(f, i);
      f.set(moving);
      f.block((done) => {
        f.loop((again) => {
          f.get(i).i32(1).op('i32.shl').i32(1).op('i32.add').tee(child).get(count).op('i32.ge_u').brIf(done);
          f.get(child).i32(1).op('i32.add').tee(right).get(count).op('i32.lt_u').if(() => {
            this.#slot(f, child);
            this.#slot(f, right);
            f.call(this.#before()).if(() => f.get(right).set(child));
          });
          f.get(moving);
          this.#slot(f, child);
          f.call(this.#before()).op('i32.eqz').brIf(done);
          f.get(i).i32(2).op('i32.shl');
          this.#slot(f, child);
          f.mem('i32.store', this.#heap).get(child).set(i).br(again);
        });
      });
      f.get(i).i32(2).op('i32.shl').get(moving).mem('i32.store', this.#heap);
    });
  }
}
