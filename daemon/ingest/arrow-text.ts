import { type Data, DataType, DateUnit, type Field, IntervalUnit, Precision, TimeUnit, type Union, UnionMode, type Vector } from 'apache-arrow';
import { MillraceError } from '../../pushdown/types/error.js';
import { clockText, dayText, instantText } from './calendar-text.js';

/** The text of a row of one part as DuckDB casts it to the type; undefined: NULL. */
export type RowText = (row: number) => string | undefined;

export interface TextForm {
  /** DuckDB's name of the type. */
  readonly sql: string;
  read(part: Data): RowText;
}

/**
 * Arrow types that have no flat form here (nested ones, times, intervals and what occurs within), as text that DuckDB casts to
 * the same value. Buffers are read as they lie: apache-arrow's own values round what they show.
 * @throws MillraceError MR_TYPE_UNSUPPORTED naming the column
 */
export function textForm(column: string, field: Field, depth = 0): TextForm {
  const { type } = field;
  if (depth > depthMax) throw unsupported(column, `nests deeper than ${depthMax} levels`);
  const inner = (child: Field): TextForm => nested(textForm(column, child, depth + 1));
  const leaf = (sql: string, read: (part: Data) => (row: number) => string): TextForm => ({ sql, read: (part) => valid(column, part, read(part)) });
  const scalar = (sql: string, text: (value: never) => string): TextForm => leaf(sql, (part) => {
    const values = covering(column, part.values as ArrayLike<never>, part.length);
    return (row) => text(values[row] as never);
  });
  const integer = (value: number | bigint): string => String(value);

  if (DataType.isNull(type)) return { sql: 'INTEGER', read: () => () => undefined };
  if (DataType.isBool(type)) return leaf('BOOLEAN', (part) => {
    const values = covering(column, part.values as Uint8Array, (part.length + 7) >> 3);
    return (row) => (((values[row >> 3] ?? 0) >> (row & 7)) & 1 ? 'true' : 'false');
  });
  if (DataType.isInt(type)) return scalar(`${type.isSigned ? '' : 'U'}${{ 8: 'TINYINT', 16: 'SMALLINT', 32: 'INTEGER', 64: 'BIGINT' }[type.bitWidth]}`, integer);
  if (DataType.isFloat(type)) return type.precision === Precision.HALF ? scalar('FLOAT', (bits: number) => floatText(halfFloat(bits))) : scalar(type.precision === Precision.SINGLE ? 'FLOAT' : 'DOUBLE', floatText);
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return leaf('VARCHAR', (part) => { const at = slices(column, part); return (row) => utf8(column, at(row)); });
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) return leaf('BLOB', (part) => { const at = slices(column, part); return (row) => blobText(at(row)); });
  if (DataType.isUtf8View(type)) return leaf('VARCHAR', (part) => { const at = viewed(column, part); return (row) => utf8(column, at(row)); });
  if (DataType.isBinaryView(type)) return leaf('BLOB', (part) => { const at = viewed(column, part); return (row) => blobText(at(row)); });
  if (DataType.isFixedSizeBinary(type)) {
    const width = type.byteWidth;
    const uuid = width === 16 && field.metadata.get('ARROW:extension:name') === 'arrow.uuid';
    return leaf(uuid ? 'UUID' : 'BLOB', (part) => {
      const bytes = covering(column, part.values as Uint8Array, part.length * width);
      return (row) => (uuid ? uuidText : blobText)(bytes.subarray(row * width, (row + 1) * width));
    });
  }
  if (DataType.isDecimal(type)) {
    const { scale, bitWidth } = type;
    const precision = Math.min(type.precision, 38);
    if (scale < 0 || scale > precision) throw unsupported(column, `has decimals of scale ${scale}`);
    const limit = 10n ** BigInt(precision);
    return leaf(`DECIMAL(${precision},${scale})`, (part) => {
      const words = wordsOf(column, part, bitWidth);
      return (row) => {
        const value = words(row);
        if (value >= limit || value <= -limit) throw unsupported(column, 'has decimals of more than 38 digits');
        return decimalText(value, scale);
      };
    });
  }
  if (DataType.isDate(type)) return type.unit === DateUnit.DAY ? scalar('DATE', dayText) : scalar('TIMESTAMP_MS', (ms: bigint) => instantText(ms, 3));
  if (DataType.isTime(type)) {
    const digits = digitsOf[type.unit];
    return scalar(digits === 9 ? 'TIME_NS' : 'TIME', (value: number | bigint) => clock(column, BigInt(value), digits));
  }
  if (DataType.isTimestamp(type)) {
    const digits = digitsOf[type.unit];
    if (type.timezone) return scalar('TIMESTAMP WITH TIME ZONE', (value: bigint) => `${instantText(digits === 9 ? micros(column, value) : value, Math.min(digits, 6))}+00`);
    return scalar({ 0: 'TIMESTAMP_S', 3: 'TIMESTAMP_MS', 6: 'TIMESTAMP', 9: 'TIMESTAMP_NS' }[digits], (value: bigint) => instantText(value, digits));
  }
  if (DataType.isDuration(type)) {
    const digits = digitsOf[type.unit];
    return scalar('INTERVAL', (value: bigint) => intervalText(column, 0, 0, digits === 9 ? micros(column, value) : value * 10n ** BigInt(6 - digits)));
  }
  if (DataType.isInterval(type)) return leaf('INTERVAL', (part) => intervals(column, part, type.unit));
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type)) {
    const item = inner(type.children[0] as Field);
    const size = DataType.isFixedSizeList(type) ? type.listSize : undefined;
    if (size === 0) throw unsupported(column, 'has lists of the fixed length 0');
    return leaf(`${item.sql}[${size ?? ''}]`, (part) => {
      const child = whole(column, part.children[0]);
      const read = item.read(child);
      if (size !== undefined) covering(column, child, part.length * size);
      const ends = size === undefined ? offsetsOf(column, part, child.length) : (row: number) => row * size;
      return (row) => `[${texts(read, ends(row), ends(row + 1)).join(', ')}]`;
    });
  }
  if (DataType.isMap(type)) {
    const [key, value] = (type.children[0] as Field).type.children as [Field, Field];
    const forms = [inner(key), inner(value)] as const;
    return leaf(`MAP(${forms[0].sql}, ${forms[1].sql})`, (part) => {
      const entries = whole(column, part.children[0]);
      const [keys, values] = forms.map((form, i) => form.read(covering(column, whole(column, entries.children[i]), entries.length)));
      const ends = offsetsOf(column, part, entries.length);
      return (row) => `{${texts((i) => `${keys?.(i) ?? 'NULL'}=${values?.(i) ?? 'NULL'}`, ends(row), ends(row + 1)).join(', ')}}`;
    });
  }
  if (DataType.isStruct(type)) {
    if (type.children.length === 0) throw unsupported(column, 'has structs without fields');
    const forms = type.children.map(inner);
    return leaf(`STRUCT(${members(column, type.children, forms)})`, (part) => {
      const read = forms.map((form, i) => form.read(covering(column, whole(column, part.children[i]), part.length)));
      return (row) => `{${read.map((at, i) => `${inNested(type.children[i]?.name ?? '')}: ${at(row) ?? 'NULL'}`).join(', ')}}`;
    });
  }
  if (DataType.isUnion(type)) return unionForm(column, type, depth);
  if (DataType.isDictionary(type)) {
    const form = textForm(column, field.clone({ type: type.dictionary as DataType }), depth);
    return leaf(form.sql, (part) => dictionaryText(column, part, form)) as TextForm;
  }
  throw unsupported(column, `is of the Arrow type ${String(type)}`);
}

/** DuckDB itself reads deeper; the parser of a type's text here does not. */
const depthMax = 64;
const digitsOf = { [TimeUnit.SECOND]: 0, [TimeUnit.MILLISECOND]: 3, [TimeUnit.MICROSECOND]: 6, [TimeUnit.NANOSECOND]: 9 } as const;

function unsupported(column: string, what: string): MillraceError {
  return new MillraceError('MR_TYPE_UNSUPPORTED', `Column '${column}' ${what}, which DuckDB has no type for: leave it out or cast it before loading.`, { field: column });
}
function invalid(column: string, what: string): MillraceError {
  return new MillraceError('MR_FILE_INVALID', `Column '${column}' ${what}.`, { field: column });
}

/** A buffer as long as its rows need. */
function covering<T extends { readonly length: number }>(column: string, buffer: T, needed: number): T {
  if (!(buffer.length >= needed)) throw invalid(column, 'has buffers shorter than its rows');
  return buffer;
}

function valid(column: string, part: Data, text: (row: number) => string): RowText {
  const bits = part.nullBitmap;
  if (part.nullCount === 0 || !bits || bits.byteLength === 0) return text;
  covering(column, bits, (part.length + 7) >> 3);
  return (row) => (((bits[row >> 3] ?? 0) >> (row & 7)) & 1 ? text(row) : undefined);
}

/** A child whose buffers begin with its first row: what IPC readers make. */
function whole(column: string, part: Data | undefined): Data {
  if (!part || part.offset !== 0) throw invalid(column, 'starts in the middle of its buffers');
  return part;
}

/** A value within another stands in quotes, so that no text of it means anything; NULL does not. */
function nested({ sql, read }: TextForm): TextForm {
  const bare = /[)\]]$/.test(sql) && !/^[A-Z_]+\(\d+,\d+\)$/.test(sql);
  if (bare) return { sql, read };
  return { sql, read: (part) => { const at = read(part); return (row) => { const text = at(row); return text === undefined ? undefined : inNested(text); }; } };
}
const inNested = (text: string): string => `'${text.replace(/['\\]/g, '\\$&')}'`;
const texts = (read: RowText, begin: number, end: number): string[] => Array.from({ length: end - begin }, (_, i) => read(begin + i) ?? 'NULL');

function members(column: string, fields: readonly Field[], forms: readonly TextForm[]): string {
  const names = new Set(fields.map(({ name }) => name.toLowerCase()));
  if (names.size < fields.length) throw unsupported(column, 'has fields whose names differ in case only');
  if (names.has('')) throw unsupported(column, 'has fields without a name');
  return fields.map(({ name }, i) => `"${name.replaceAll('"', '""')}" ${forms[i]?.sql}`).join(', ');
}

/** Ends of a list's rows, ascending and within the child. */
function offsetsOf(column: string, part: Data, childRows: number): (row: number) => number {
  const offsets = part.valueOffsets as ArrayLike<number | bigint>;
  if (offsets.length < part.length + 1 && part.length > 0) throw invalid(column, 'has fewer offsets than rows');
  let last = 0;
  for (let i = 0; i <= part.length && part.length > 0; i++) {
    const at = Number(offsets[i]);
    if (!(at >= last && at <= childRows)) throw invalid(column, 'has offsets that do not ascend or leave their buffer');
    last = at;
  }
  return (row) => Number(offsets[row]);
}

function slices(column: string, part: Data): (row: number) => Uint8Array {
  const bytes = part.values as Uint8Array;
  const ends = offsetsOf(column, part, bytes.byteLength);
  return (row) => bytes.subarray(ends(row), ends(row + 1));
}

/** Views of 16 bytes: length, then up to 12 bytes, or 4 of prefix, the buffer's number and the offset in it. */
function viewed(column: string, part: Data): (row: number) => Uint8Array {
  const views = covering(column, part.values as Uint8Array, part.length * 16);
  const words = new DataView(views.buffer, views.byteOffset, views.byteLength);
  const buffers = (part as unknown as { variadicBuffers?: readonly Uint8Array[] }).variadicBuffers ?? [];
  return (row) => {
    const length = words.getInt32(row * 16, true);
    if (length >= 0 && length <= 12) return views.subarray(row * 16 + 4, row * 16 + 4 + length);
    const at = words.getInt32(row * 16 + 12, true);
    const bytes = buffers[words.getInt32(row * 16 + 8, true)]?.subarray(at, at + length);
    if (bytes?.byteLength !== length || at < 0) throw invalid(column, 'has views that leave their buffer');
    return bytes;
  };
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
function utf8(column: string, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw invalid(column, 'has text that is not UTF-8');
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
const blobText = (bytes: Uint8Array): string => hex(bytes).replace(/../g, (byte) => `\\x${byte.toUpperCase()}`);
const uuidText = (bytes: Uint8Array): string => hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');

/** The shortest text that reads back as the same double; so it does as the same float, where it came from one. */
function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  return Object.is(value, -0) ? '-0.0' : String(value).replace('Infinity', 'inf');
}

function halfFloat(bits: number): number {
  const fraction = bits & 0x3ff;
  const exponent = (bits >> 10) & 0x1f;
  const size = exponent === 0 ? fraction * 2 ** -24 : exponent === 31 ? (fraction ? Number.NaN : Number.POSITIVE_INFINITY) : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

/** Little-endian two's complement of 32, 64, 128 or 256 bits. */
function wordsOf(column: string, part: Data, bitWidth: number): (row: number) => bigint {
  const words = wordsIn(column, part, bitWidth / 8);
  const count = bitWidth / 32;
  return (row) => {
    let value = BigInt(words.getInt32((row * count + count - 1) * 4, true));
    for (let i = count - 2; i >= 0; i--) value = (value << 32n) | BigInt(words.getUint32((row * count + i) * 4, true));
    return value;
  };
}

function wordsIn(column: string, part: Data, bytesPerRow: number): DataView {
  const view = part.values as ArrayBufferView;
  covering(column, { length: view.byteLength }, part.length * bytesPerRow);
  return new DataView(view.buffer, view.byteOffset, view.byteLength);
}

function decimalText(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  return `${value < 0n ? '-' : ''}${scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`}`;
}

function clock(column: string, value: bigint, digits: number): string {
  if (value < 0n || value > 86_400n * 10n ** BigInt(digits)) throw invalid(column, 'has times beyond the day');
  return clockText(value, digits);
}

function micros(column: string, nanos: bigint): bigint {
  if (nanos % 1000n !== 0n) throw unsupported(column, 'has nanoseconds that are no whole microseconds');
  return nanos / 1000n;
}

function intervalText(column: string, months: number, days: number, microseconds: bigint): string {
  if (BigInt.asIntN(64, microseconds) !== microseconds) throw unsupported(column, 'has durations beyond 292,000 years');
  return `${months} months ${days} days ${microseconds} microseconds`;
}

function intervals(column: string, part: Data, unit: IntervalUnit): (row: number) => string {
  const words = wordsIn(column, part, { [IntervalUnit.YEAR_MONTH]: 4, [IntervalUnit.DAY_TIME]: 8, [IntervalUnit.MONTH_DAY_NANO]: 16 }[unit]);
  const i32 = (at: number) => words.getInt32(at, true);
  switch (unit) {
    case IntervalUnit.YEAR_MONTH: return (row) => intervalText(column, i32(row * 4), 0, 0n);
    case IntervalUnit.DAY_TIME: return (row) => intervalText(column, 0, i32(row * 8), BigInt(i32(row * 8 + 4)) * 1000n);
    case IntervalUnit.MONTH_DAY_NANO: return (row) => intervalText(column, i32(row * 16), i32(row * 16 + 4), micros(column, words.getBigInt64(row * 16 + 8, true)));
    default: return unit satisfies never;
  }
}

/** The member's name and its text: the form in which unions are stored (pushdown/plan/opaque-text.ts). */
function unionForm(column: string, type: Union, depth: number): TextForm {
  if (depth > 0) throw unsupported(column, 'has unions within other values');
  const fields = type.children as Field[];
  const forms = fields.map((field) => textForm(column, field, depth + 1));
  if (fields.length === 0) throw unsupported(column, 'has unions without members');
  return {
    sql: `UNION(${members(column, fields, forms)})`,
    read: (part) => {
      const read = forms.map((form, i) => form.read(whole(column, part.children[i])));
      const typeIds = covering(column, part.typeIds as Int8Array, part.length);
      const offsets = type.mode === UnionMode.Dense ? (part.valueOffsets as Int32Array) : undefined;
      return (row) => {
        const member = type.typeIdToChildIndex[typeIds[row] ?? -1] ?? -1;
        const field = fields[member];
        const at = offsets ? (offsets[row] ?? -1) : row;
        if (!field || !(at >= 0 && at < (part.children[member]?.length ?? 0))) throw invalid(column, 'has a union value outside its members');
        const text = read[member]?.(at);
        return `{'tag': ${inNested(field.name)}, 'value': ${text === undefined ? 'NULL' : inNested(text)}}`;
      };
    },
  };
}

function dictionaryText(column: string, part: Data, form: TextForm): (row: number) => string {
  const pieces = ((part.dictionary as Vector | undefined)?.data ?? []).map((data) => ({ length: data.length, at: form.read(whole(column, data)) }));
  const codes = covering(column, part.values as ArrayLike<number | bigint>, part.length);
  return (row) => {
    let code = Number(codes[row]);
    for (const { length, at } of pieces) {
      if (code >= 0 && code < length) return at(code) as string;
      code -= length;
    }
    throw invalid(column, `has a code outside the dictionary in row ${row}`);
  };
}
