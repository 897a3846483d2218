import type { Batch } from '../../pushdown/types/batch.js';
import { canonicalReader } from '../node/result/value.js';
import { Sha256 } from '../../pushdown/runtime/sha256.js';

const nullTag = 0;
const falseTag = 1;
const trueTag = 2;
const exactTag = 3;
const floatTag = 4;
const textTag = 5;

/**
 * SHA-256 over a result's values, row by row, bit by bit: however it was cut into batches and stored in them, equal digests
 * mean equal rows in equal order. Floats count by their bits, so -0 and 0 differ.
 */
export class ResultDigest {
  readonly #hash = new Sha256();
  readonly #encoder = new TextEncoder();
  rows = 0;

  add(batch: Batch): void {
    const readers = batch.columns.map((column, i) => canonicalReader(column, batch.data[i]!)); // one per column
    for (let row = 0; row < batch.rows; row++) for (const read of readers) this.#value(read(row));
    this.rows += batch.rows;
  }

  /** The hash as 64 hexadecimal digits. Nothing may be added afterwards. */
  hex(): string {
    return this.#hash.hex();
  }

  #value(value: null | boolean | number | bigint | string): void {
    if (value === null) return void this.#hash.update(Uint8Array.of(nullTag));
    if (typeof value === 'boolean') return void this.#hash.update(Uint8Array.of(value ? trueTag : falseTag));
    const cell = new DataView(new ArrayBuffer(17));
    if (typeof value === 'string') {
      const bytes = this.#encoder.encode(value);
      cell.setUint8(0, textTag);
      cell.setUint32(1, bytes.byteLength, true);
      this.#hash.update(new Uint8Array(cell.buffer, 0, 5)).update(bytes);
    } else if (typeof value === 'number') {
      cell.setUint8(0, floatTag);
      cell.setFloat64(1, value, true);
      this.#hash.update(new Uint8Array(cell.buffer, 0, 9));
    } else {
      cell.setUint8(0, exactTag);
      cell.setBigUint64(1, BigInt.asUintN(64, value), true);
      cell.setBigInt64(9, value >> 64n, true);
      this.#hash.update(new Uint8Array(cell.buffer));
    }
  }
}
