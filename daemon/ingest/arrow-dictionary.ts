import { type Data, DataType, DateUnit, type Dictionary, Precision } from 'apache-arrow';
import { MillraceError } from '../../pushdown/types/error.js';

/**
 * Codes replaced by their values, as plain buffers: for dictionaries that are not plain text. A null code and a code of a null
 * value are both null. Text comes with 32-bit offsets.
 */
export function decodeDictionary(name: string, part: Data<Dictionary>): (Uint8Array | null)[] {
  const { length, dictionary } = part;
  const codes = part.values as ArrayLike<number | bigint>;
  const entries = dictionary?.length ?? 0;
  const validity = new Uint8Array((length + 7) >> 3);
  const rows = new Int32Array(length).fill(-1);
  for (let i = 0; i < length; i++) {
    if (!part.getValid(i)) continue;
    const code = Number(codes[i]);
    if (!(code >= 0 && code < entries)) throw new MillraceError('MR_FILE_INVALID', `Column '${name}': row ${i} has a code outside the dictionary.`, { field: name });
    if (dictionary?.get(code) === null) continue;
    rows[i] = code;
    validity[i >> 3] |= 1 << (i & 7);
  }
  const type = part.type.dictionary as DataType;
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return [validity, ...gatherText(rows, (code) => dictionary?.get(code) as string)];
  return [validity, DataType.isBool(type) ? gatherBits(rows, (code) => dictionary?.get(code) as boolean) : gatherFixed(rows, part)];
}

function gatherText(rows: Int32Array, valueAt: (code: number) => string): [Uint8Array, Uint8Array] {
  const encoded = new Map<number, Buffer>();
  const pieces: Buffer[] = [];
  const offsets = new Int32Array(rows.length + 1);
  rows.forEach((code, i) => {
    let bytes = code < 0 ? undefined : encoded.get(code);
    if (code >= 0 && !bytes) encoded.set(code, (bytes = Buffer.from(valueAt(code), 'utf8')));
    if (bytes) pieces.push(bytes);
    offsets[i + 1] = offsets[i] + (bytes?.byteLength ?? 0);
  });
  return [new Uint8Array(offsets.buffer), Buffer.concat(pieces)];
}

function gatherBits(rows: Int32Array, valueAt: (code: number) => boolean): Uint8Array {
  const bits = new Uint8Array((rows.length + 7) >> 3);
  rows.forEach((code, i) => {
    if (code >= 0 && valueAt(code)) bits[i >> 3] |= 1 << (i & 7);
  });
  return bits;
}

/** Values of one width, byte for byte. The dictionary may lie in several pieces (deltas). */
function gatherFixed(rows: Int32Array, part: Data<Dictionary>): Uint8Array {
  const pieces = (part.dictionary?.data ?? []).map((data) => {
    const view = data.values as ArrayBufferView;
    return { length: data.length, bytes: new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength) };
  });
  const width = widthOf(part.type.dictionary);
  const out = new Uint8Array(rows.length * width);
  rows.forEach((code, i) => {
    let at = code;
    for (const { length, bytes } of code < 0 ? [] : pieces) {
      if (at < length) {
        out.set(bytes.subarray(at * width, (at + 1) * width), i * width);
        break;
      }
      at -= length;
    }
  });
  return out;
}

/** Bytes of a value; only types that arrowFormatOf took come here. */
function widthOf(type: DataType): number {
  if (DataType.isInt(type)) return type.bitWidth / 8;
  if (DataType.isFloat(type)) return type.precision === Precision.SINGLE ? 4 : 8;
  if (DataType.isDecimal(type)) return 16;
  return DataType.isDate(type) && type.unit === DateUnit.DAY ? 4 : 8;
}
