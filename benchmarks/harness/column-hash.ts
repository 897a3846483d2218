import type { QueryResult } from '../../clients/node/index.js';
import type { ColumnData } from '../../pushdown/types/batch.js';

/** Rows and a hash per column, over all rows in order, as benchmarks/native/row-hash.h makes it: values as 32-bit words, texts as their length and their bytes. */
export function columnHash(result: QueryResult): string {
  const states = result.columns.map((column, c) => result.batches.reduce((state, { rows, data }) => hashed(state, column.physical, rows, data[c]!), 2166136261));
  return `${result.rows}:${states.map((state) => (state >>> 0).toString(16).padStart(8, '0')).join(',')}`;
}

const mix = (state: number, word: number): number => Math.imul(state ^ word, 16777619);
const nullWord = 0x6e756c6c;

function hashed(from: number, physical: string, rows: number, { validity, offsets, data }: ColumnData): number {
  let state = from;
  const isNull = (row: number) => validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0;
  if (offsets) {
    for (let row = 0; row < rows; row++) {
      if (isNull(row)) {
        state = mix(state, nullWord);
        continue;
      }
      const [start, end] = [offsets[row]!, offsets[row + 1]!];
      state = mix(state, end - start);
      for (let i = start; i < end; i++) state = mix(state, data[i]!);
    }
    return state;
  }
  if (physical === 'bool') {
    for (let row = 0; row < rows; row++) state = mix(state, isNull(row) ? nullWord : (data[row >> 3]! >> (row & 7)) & 1);
    return state;
  }
  const { words, perValue } = wordsOf(physical, data.slice());
  for (let row = 0; row < rows; row++) {
    if (isNull(row)) state = mix(state, nullWord);
    else for (let word = 0; word < perValue; word++) state = mix(state, words[row * perValue + word]!);
  }
  return state;
}

function wordsOf(physical: string, { buffer, byteLength }: Uint8Array<ArrayBuffer>): { readonly words: Int8Array | Int16Array | Int32Array; readonly perValue: number } {
  switch (physical) {
    case 'i8': return { words: new Int8Array(buffer), perValue: 1 };
    case 'i16': return { words: new Int16Array(buffer, 0, byteLength >> 1), perValue: 1 };
    case 'i32': case 'f32': return { words: new Int32Array(buffer, 0, byteLength >> 2), perValue: 1 };
    case 'i64': case 'f64': return { words: new Int32Array(buffer, 0, byteLength >> 2), perValue: 2 };
    default: throw new Error(`columns stored as ${physical} have no hash here`);
  }
}
