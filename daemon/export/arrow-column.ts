import * as arrow from 'apache-arrow';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { invariant, MillraceError } from '../../pushdown/types/error.js';
import { utf8Offsets } from '../datasets/dictionary.js';
import { type BufferRange, type Chunk, hasDictionary } from '../datasets/layout.js';
import { narrow, storedIntegers, widen } from './widen.js';

/** One column chunk as Arrow data of the column's logical type. `bytes` is the chunk and may be referred to by the result. */
export function arrowData(column: DatasetColumnInfo, type: arrow.DataType, chunk: Chunk, bytes: Uint8Array, dictionary: arrow.Vector | undefined): arrow.Data {
  const cut = ({ offset, bytes: length }: BufferRange) => bytes.subarray(offset, offset + length);
  const { rows: length, nullCount } = chunk;
  const nullBitmap = column.nullable ? cut(chunk.validity) : null;
  const data = cut(chunk.data);
  const values = (buffer: unknown) => arrow.makeData({ type, length, nullCount, nullBitmap, data: buffer } as never);
  if (hasDictionary(column)) {
    invariant(dictionary, 'a dictionary column comes with its dictionary');
    const codes = checkedCodes(column, data, length, nullBitmap);
    return arrow.makeData({ type, length, nullCount, nullBitmap, data: codes, dictionary } as never);
  }
  switch (column.type.kind) {
    case 'bool':
      return values(data);
    case 'float32':
      return values(new Float32Array(data.buffer, data.byteOffset, length));
    case 'float64':
      return values(new Float64Array(data.buffer, data.byteOffset, length));
    case 'utf8':
    case 'opaque':
      return arrow.makeData({ type, length, nullCount, nullBitmap, valueOffsets: utf8Offsets(bytes, chunk, `Column '${column.name}'`), data } as never);
    case 'int64':
    case 'timestamp':
      return values(new BigInt64Array(widen(storedIntegers(column.physical, data, length), 2).buffer));
    case 'decimal':
      return values(new Uint32Array(widen(storedIntegers(column.physical, data, length), 4).buffer));
    case 'int8':
      return values(new Int8Array(narrow(storedIntegers(column.physical, data, length))));
    case 'int16':
      return values(new Int16Array(narrow(storedIntegers(column.physical, data, length))));
    case 'int32':
    case 'date':
      return values(narrow(storedIntegers(column.physical, data, length)));
    case 'uint8':
      return values(new Uint8Array(narrow(storedIntegers(column.physical, data, length))));
    case 'uint16':
      return values(new Uint16Array(narrow(storedIntegers(column.physical, data, length))));
    case 'uint32':
      return values(new Uint32Array(narrow(storedIntegers(column.physical, data, length)).buffer));
    default:
      return column.type satisfies never;
  }
}

/** A code past the dictionary would make an Arrow reader read past it; under a null it means nothing and becomes 0. */
function checkedCodes(column: DatasetColumnInfo, data: Uint8Array, rows: number, validity: Uint8Array | null): Int8Array | Int16Array | Int32Array {
  const entries = column.dictionaryEntries ?? 0;
  const codes = storedIntegers(column.physical, data, rows);
  invariant(!(codes instanceof BigInt64Array), 'codes have at most 32 bits');
  for (let i = 0; i < rows; i++) {
    if (codes[i] >= 0 && codes[i] < entries) continue;
    if (validity && (validity[i >> 3] & (1 << (i & 7))) === 0) codes[i] = 0;
    else throw new MillraceError('MR_DATASET_DAMAGED', `Column '${column.name}' has a code past its dictionary. Load the dataset again.`);
  }
  return codes;
}
