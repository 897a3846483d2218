import type { Batch } from '../../../pushdown/types/batch.js';
import { MillraceError, invariant } from '../../../pushdown/types/error.js';
import type { LogicalType } from '../../../pushdown/types/logical.js';
import { canonicalReader } from './value.js';

export interface NpyColumn { readonly name: string; readonly type: LogicalType }

/**
 * NumPy's .npy (version 2.0), little endian. One column is an array of shape (rows,) of its own type; several are a structured
 * array of shape (rows,), one field per column: `numpy.load(file)['delay']`.
 *
 * Numbers and booleans keep their width; decimals become float64; dates datetime64[D], timestamps datetime64[us]. NULL is NaN
 * or NaT; integers and booleans have no such value and are refused, as is text.
 */
export class NpyWriter {
  readonly #fields: readonly Field[];
  readonly #recordBytes: number;

  /** @throws MillraceError MR_NPY_TYPE for a column that is no number, and for no column at all */
  constructor(readonly columns: readonly NpyColumn[]) {
    if (columns.length === 0) throw new MillraceError('MR_NPY_TYPE', 'npy holds at least one column.');
    this.#fields = columns.map(fieldOf);
    this.#recordBytes = this.#fields.reduce((sum, f) => sum + f.bytes, 0);
  }

  /** The same length for every number of rows, so that it can be written last. */
  header(rows: number): Uint8Array {
    const [only] = this.#fields;
    const descr = this.#fields.length === 1 && only ? `'${only.dtype}'` : `[${this.#fields.map((f, i) => `(${pythonText(this.columns[i]?.name ?? '')}, '${f.dtype}')`).join(', ')}]`;
    const rowDigits = 20;
    const text = `{'descr': ${descr}, 'fortran_order': False, 'shape': (${String(rows)},), }`.padEnd(descr.length + rowDigits + 64);
    const prefixBytes = 12;
    const bytes = Math.ceil((prefixBytes + text.length + 1) / 64) * 64;
    const header = Buffer.alloc(bytes, ' ');
    header.set([0x93, ...Buffer.from('NUMPY'), 2, 0]);
    header.writeUInt32LE(bytes - prefixBytes, 8);
    header.write(text, prefixBytes, 'latin1');
    header.write('\n', bytes - 1);
    return header;
  }

  /** @throws MillraceError MR_NPY_NULL */
  body(batch: Batch): Uint8Array {
    const out = new Uint8Array(batch.rows * this.#recordBytes);
    const view = new DataView(out.buffer);
    let start = 0;
    for (const [i, field] of this.#fields.entries()) {
      const column = batch.columns[i];
      const data = batch.data[i];
      invariant(column && data, 'a batch has the columns its header names');
      const read = canonicalReader(column, data);
      for (let row = 0, at = start; row < batch.rows; row++, at += this.#recordBytes) {
        const value = read(row);
        if (value !== null) field.write(view, at, value as number | bigint | boolean);
        else if (field.writeNull) field.writeNull(view, at);
        else throw new MillraceError('MR_NPY_NULL', `Column "${column.name}" has NULLs, which npy's ${field.dtype} cannot say: leave them out, or cast it to DOUBLE (NULL becomes NaN).`, { field: column.name });
      }
      start += field.bytes;
    }
    return out;
  }
}

interface Field {
  readonly dtype: string;
  readonly bytes: number;
  readonly write: (view: DataView, at: number, value: number | bigint | boolean) => void;
  readonly writeNull?: (view: DataView, at: number) => void;
}

const integers = {
  int8: ['|i1', 1, 'setInt8'], int16: ['<i2', 2, 'setInt16'], int32: ['<i4', 4, 'setInt32'], uint8: ['|u1', 1, 'setUint8'], uint16: ['<u2', 2, 'setUint16'], uint32: ['<u4', 4, 'setUint32'],
} as const;
const notATime = -(2n ** 63n);

function fieldOf({ name, type }: NpyColumn): Field {
  const floating = (divisor: number): Field => ({ dtype: '<f8', bytes: 8, write: (v, at, x) => v.setFloat64(at, Number(x) / divisor, true), writeNull: (v, at) => v.setFloat64(at, Number.NaN, true) });
  const wide = (dtype: string): Field => ({ dtype, bytes: 8, write: (v, at, x) => v.setBigInt64(at, BigInt(x), true) });
  const time = (dtype: string): Field => ({ ...wide(dtype), writeNull: (v, at) => v.setBigInt64(at, notATime, true) });
  switch (type.kind) {
    case 'bool': return { dtype: '|b1', bytes: 1, write: (v, at, x) => v.setUint8(at, x ? 1 : 0) };
    case 'int8': case 'int16': case 'int32': case 'uint8': case 'uint16': case 'uint32': {
      const [dtype, bytes, set] = integers[type.kind];
      return { dtype, bytes, write: (v, at, x) => v[set](at, Number(x), true) };
    }
    case 'int64': return wide('<i8');
    case 'float32': return { dtype: '<f4', bytes: 4, write: (v, at, x) => v.setFloat32(at, Number(x), true), writeNull: (v, at) => v.setFloat32(at, Number.NaN, true) };
    case 'float64': return floating(1);
    case 'decimal': return floating(10 ** type.scale);
    case 'date': return time('<M8[D]');
    case 'timestamp': return time('<M8[us]');
    case 'utf8': case 'opaque': throw new MillraceError('MR_NPY_TYPE', `npy holds numbers, and column "${name}" is not: leave it out, or choose parquet or arrow.`, { field: name });
    default: return type satisfies never;
  }
}

/** A Python string literal in ASCII. */
function pythonText(text: string): string {
  return `'${[...text].map((c) => (/[ -&(-[\]-~]/.test(c) ? c : `\\U${(c.codePointAt(0) ?? 0).toString(16).padStart(8, '0')}`)).join('')}'`;
}
