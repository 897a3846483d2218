import { type Data, DataType, DateUnit, type Decimal, type Dictionary, type Field, type Int, Precision, type Timestamp, TimeUnit, type Vector } from 'apache-arrow';
import type { DuckColumn } from '../../native/index.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { decodeDictionary } from './arrow-dictionary.js';

export interface ConvertedColumn {
  readonly column: DuckColumn;
  /** Per batch: validity | null, [offsets], data. */
  readonly buffers: readonly (readonly (Uint8Array | null)[])[];
}

/** One column of all record batches in the form registerTable takes. Throws MR_TYPE_UNSUPPORTED or MR_FILE_INVALID naming it. */
export function arrowColumns(field: Field, parts: readonly Data[]): ConvertedColumn {
  const { name, type } = field;
  if (DataType.isDictionary(type)) return dictionaryColumn(name, type, parts as readonly Data<Dictionary>[]);
  const format = arrowFormatOf(name, type);
  return { column: { name, format }, buffers: parts.map((part) => plainBuffers(name, part)) };
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

const hasOffsets = (type: DataType): boolean => DataType.isUtf8(type) || DataType.isLargeUtf8(type);

function dictionaryColumn(name: string, type: Dictionary, parts: readonly Data<Dictionary>[]): ConvertedColumn {
  const codes = integerFormat(type.indices as Int);
  const values = lastDictionary(name, parts);
  if (!DataType.isUtf8(type.dictionary) && !DataType.isLargeUtf8(type.dictionary)) {
    const format = arrowFormatOf(name, type.dictionary);
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

function arrowFormatOf(name: string, type: DataType): string {
  if (DataType.isInt(type)) return integerFormat(type);
  if (DataType.isFloat(type) && type.precision !== Precision.HALF) return type.precision === Precision.SINGLE ? 'f' : 'g';
  if (DataType.isBool(type)) return 'b';
  if (DataType.isUtf8(type)) return 'u';
  if (DataType.isLargeUtf8(type)) return 'U';
  if (DataType.isDate(type)) return type.unit === DateUnit.DAY ? 'tdD' : 'tdm';
  if (DataType.isTimestamp(type)) return `ts${unitOf[(type as Timestamp).unit]}:${(type as Timestamp).timezone ?? ''}`;
  if (DataType.isDecimal(type) && (type as Decimal).bitWidth === 128) return `d:${type.precision},${type.scale}`;
  throw new MillraceError(
    'MR_TYPE_UNSUPPORTED',
    `Column '${name}' is of the Arrow type ${String(type)}; bool, integers, float32, float64, decimals up to 18 digits, dates, timestamps and text can be stored: leave it out or cast it before loading.`,
    { field: name },
  );
}
