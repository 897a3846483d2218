import { type Data, DataType, DateUnit, type Decimal, type Dictionary, type Field, type Int, Precision, type Timestamp, TimeUnit, type Vector } from 'apache-arrow';
import type { DuckColumn } from '../../native/index.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { decodeDictionary } from './arrow-dictionary.js';
import { textForm } from './arrow-text.js';

export interface ConvertedColumn {
  readonly column: DuckColumn;
  /** Per batch: validity | null, [offsets], data. */
  readonly buffers: readonly (readonly (Uint8Array | null)[])[];
  /** The column is text that stands for values of this type of DuckDB. */
  readonly standsFor?: string;
}

/** One column of all record batches in the form registerTable takes. Throws MR_TYPE_UNSUPPORTED or MR_FILE_INVALID naming it. */
export function arrowColumns(field: Field, parts: readonly Data[]): ConvertedColumn {
  const { name, type } = field;
  if (DataType.isDictionary(type) && flatFormat(type.dictionary, [])) return dictionaryColumn(name, type, parts as readonly Data<Dictionary>[]);
  const format = flatFormat(type, parts);
  if (format) return { column: { name, format }, buffers: parts.map((part) => plainBuffers(name, part)) };
  const form = textForm(name, field);
  return { column: { name, format: 'U' }, buffers: parts.map((part) => textBuffers(name, part, form.read(part))), standsFor: form.sql };
}

/** Text with 64-bit offsets: that of nested values may be long. */
function textBuffers(name: string, part: Data, text: (row: number) => string | undefined): (Uint8Array | null)[] {
  if (part.offset !== 0) throw new MillraceError('MR_FILE_INVALID', `Column '${name}' starts in the middle of its buffers.`, { field: name });
  const validity = new Uint8Array((part.length + 7) >> 3);
  const offsets = new BigInt64Array(part.length + 1);
  const pieces: Buffer[] = [];
  let end = 0;
  for (let row = 0; row < part.length; row++) {
    const value = text(row);
    if (value !== undefined) {
      const bytes = Buffer.from(value, 'utf8');
      validity[row >> 3] |= 1 << (row & 7);
      pieces.push(bytes);
      end += bytes.byteLength;
    }
    offsets[row + 1] = BigInt(end);
  }
  return [validity, new Uint8Array(offsets.buffer), Buffer.concat(pieces, end)];
}

const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);

/** Buffers of a part that is not sliced: what IPC readers make. */
export function plainBuffers(name: string, part: Data): (Uint8Array | null)[] {
  if (part.offset !== 0) throw new MillraceError('MR_FILE_INVALID', `Column '${name}' starts in the middle of its buffers.`, { field: name });
  const validity = part.nullCount === 0 || !part.nullBitmap || part.nullBitmap.byteLength === 0 ? null : part.nullBitmap;
  const data = part.values ? bytesOf(part.values as ArrayBufferView) : new Uint8Array(0);
  const offsets = part.valueOffsets as ArrayBufferView | undefined;
  return offsets && hasOffsets(part.type) ? [validity, bytesOf(offsets), data] : [validity, data];
}

const hasOffsets = (type: DataType): boolean => DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isBinary(type) || DataType.isLargeBinary(type);

function dictionaryColumn(name: string, type: Dictionary, parts: readonly Data<Dictionary>[]): ConvertedColumn {
  const codes = integerFormat(type.indices as Int);
  const values = lastDictionary(name, parts);
  if (!DataType.isUtf8(type.dictionary) && !DataType.isLargeUtf8(type.dictionary)) {
    const format = flatFormat(type.dictionary, []) ?? '';
    return { column: { name, format }, buffers: parts.map((part) => decodeDictionary(name, part)) };
  }
  const dictionary = Array.from({ length: values?.length ?? 0 }, (_, i) => values?.get(i) as string | null);
  if (dictionary.includes(null)) return { column: { name, format: 'u' }, buffers: parts.map((part) => decodeDictionary(name, part)) };
  return { column: { name, format: codes, dictionary: dictionary as string[] }, buffers: parts.map((part) => plainBuffers(name, part)) };
}

/** Delta dictionaries only grow: the last batch has all values. A dictionary that was replaced has others. */
function lastDictionary(name: string, parts: readonly Data<Dictionary>[]): Vector | undefined {
  const all = [...new Set(parts.map((part) => part.dictionary).filter((vector) => vector !== undefined))];
  const last = all.at(-1);
  for (const earlier of all.slice(0, -1)) {
    let same = last !== undefined && earlier.length <= last.length;
    for (let i = 0; same && i < earlier.length; i++) same = Object.is(earlier.get(i), last?.get(i));
    if (!same) throw new MillraceError('MR_FILE_INVALID', `Column '${name}' replaces its dictionary in the middle of the stream: write it as an Arrow file or without dictionaries.`, { field: name });
  }
  return last;
}

const integerFormat = ({ bitWidth, isSigned }: Int): string => {
  const signed = { 8: 'c', 16: 's', 32: 'i', 64: 'l' }[bitWidth];
  return isSigned ? signed : signed.toUpperCase();
};

const unitOf = { [TimeUnit.SECOND]: 's', [TimeUnit.MILLISECOND]: 'm', [TimeUnit.MICROSECOND]: 'u', [TimeUnit.NANOSECOND]: 'n' } as const;

/** Format of the C data interface, for types whose buffers DuckDB's table takes as they are. undefined: the column goes over text. */
function flatFormat(type: DataType, parts: readonly Data[]): string | undefined {
  if (DataType.isInt(type)) return integerFormat(type);
  if (DataType.isFloat(type)) return type.precision === Precision.HALF ? undefined : type.precision === Precision.SINGLE ? 'f' : 'g';
  if (DataType.isBool(type)) return 'b';
  if (DataType.isUtf8(type)) return 'u';
  if (DataType.isLargeUtf8(type)) return 'U';
  if (DataType.isBinary(type) && parts.length > 0) return 'z';
  if (DataType.isLargeBinary(type) && parts.length > 0) return 'Z';
  if (DataType.isDate(type)) return type.unit === DateUnit.DAY ? 'tdD' : multiplesOf(86_400_000n, parts) ? 'tdm' : undefined;
  if (DataType.isTimestamp(type)) {
    const { unit, timezone } = type as Timestamp;
    // Instants are microseconds: finer ones would lose something on the way.
    if (unit === TimeUnit.NANOSECOND && timezone && !multiplesOf(1000n, parts)) return undefined;
    return `ts${unitOf[unit]}:${timezone ?? ''}`;
  }
  if (DataType.isTime(type)) return type.unit === TimeUnit.MICROSECOND && parts.length > 0 ? 'ttu' : undefined;
  if (DataType.isDecimal(type)) return (type as Decimal).bitWidth === 128 && type.scale >= 0 && type.scale <= type.precision ? `d:${type.precision},${type.scale}` : undefined;
  return undefined;
}

function multiplesOf(unit: bigint, parts: readonly Data[]): boolean {
  return parts.every((part) => (part.values as BigInt64Array).every((value, row) => value % unit === 0n || !part.getValid(row)));
}
