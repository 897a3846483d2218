import type { DuckDBDataChunk } from '@duckdb/node-api';
import type { LiteralValue } from '../../pushdown/expr/expr.js';
import type { QueryResult } from '../../clients/node/index.js';

/**
 * A hash over all values, row by row in order, equal for equal results whatever the physical widths: exact numbers by
 * value, strings by code units, floats rounded to 12 digits (summation order differs between engines).
 */
class RowHash {
  #state = 0x811c9dc5;
  add(value: LiteralValue | Date | undefined): void {
    if (typeof value === 'bigint') this.#mix(Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
    else if (typeof value === 'number') this.#text(value.toPrecision(12));
    else this.#text(String(value));
  }
  #text(text: string): void {
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i), i);
  }
  #mix(a: number, b: number): void {
    this.#state = Math.imul(this.#state ^ a, 0x01000193);
    this.#state = Math.imul(this.#state ^ b, 0x85ebca6b) ^ (this.#state >>> 15);
  }
  get hex(): string {
    return (this.#state >>> 0).toString(16).padStart(8, '0');
  }
}

/** Exact integers per column into a hash, vectorized: results of millions of rows are compared after every run. */
export function hashOf(result: QueryResult): string {
  if (result.rows > 10_000) return hashColumns(result.columns.length, function* (column) {
    for (const batch of result.batches) yield integers(batch.data[column]!.data, batch.columns[column]!.physical, batch.rows); // columns are the same in all batches
  });
  return hashRows(result.toCanonicalRows());
}

export function hashOfChunks(chunks: readonly DuckDBDataChunk[], rowsOf: () => LiteralValue[][]): string {
  const rows = chunks.reduce((sum, chunk) => sum + chunk.rowCount, 0);
  if (rows > 10_000) return hashColumns(chunks[0]!.columnCount, function* (column) { // more than 10,000 rows
    for (const chunk of chunks) yield vectorIntegers(chunk, column);
  });
  return hashRows(rowsOf());
}

function hashRows(rows: readonly LiteralValue[][]): string {
  const hash = new RowHash();
  // Groups come in any order: rows are compared as a set.
  for (const text of rows.map((row) => row.map((v) => (typeof v === 'number' ? v.toPrecision(12) : String(v))).join('|')).sort()) hash.add(text);
  return hash.hex;
}

function hashColumns(columns: number, parts: (column: number) => Iterable<ArrayLike<number | bigint>>): string {
  let text = '';
  for (let column = 0; column < columns; column++) {
    let state = 0x811c9dc5;
    let rows = 0;
    for (const values of parts(column)) {
      rows += values.length;
      if (values instanceof BigInt64Array) {
        // Low words only: the values of these benchmarks fit 32 bits.
        const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
        for (let i = 0; i < words.length; i += 2) state = Math.imul(state ^ words[i]!, 0x01000193);
      } else for (let i = 0; i < values.length; i++) state = Math.imul(state ^ (values[i] as number), 0x01000193);
    }
    text += `${(state >>> 0).toString(16)}/${rows};`;
  }
  return text;
}

/** DuckDB's own memory: typed items, or a DataView over the unscaled values of decimals of 2, 4 or 8 bytes. */
function vectorIntegers(chunk: DuckDBDataChunk, column: number): ArrayLike<number | bigint> {
  const vector = chunk.getColumnVector(column) as unknown as { items?: ArrayLike<number | bigint>; dataView?: DataView };
  if (vector.items) return vector.items;
  if (!vector.dataView) throw new Error('this hash is for integers, dates and decimals');
  const { buffer, byteOffset, byteLength } = vector.dataView;
  switch (byteLength / chunk.rowCount) {
    case 2: return new Int16Array(buffer, byteOffset, chunk.rowCount);
    case 4: return new Int32Array(buffer, byteOffset, chunk.rowCount);
    case 8: return new BigInt64Array(buffer, byteOffset, chunk.rowCount);
    default: throw new Error(`decimals of ${byteLength / chunk.rowCount} bytes are not expected here`);
  }
}

function integers(data: Uint8Array, physical: string, rows: number): ArrayLike<number | bigint> {
  const copy = (width: number) => data.slice(0, rows * width).buffer as ArrayBuffer;
  switch (physical) {
    case 'i8': case 'dict8': return new Int8Array(copy(1));
    case 'i16': case 'dict16': return new Int16Array(copy(2));
    // Floats by their bits: only results of ours are compared, which are equal to the bit.
    case 'i32': case 'dict32': case 'f32': return new Int32Array(copy(4));
    case 'f64': return new Int32Array(copy(8));
    case 'i64': return new BigInt64Array(copy(8));
    default: throw new Error(`this hash is for integers, not ${physical}`);
  }
}
