import { invariant } from '../../../pushdown/types/error.js';

export type IntegerBytes = 1 | 2 | 4 | 8 | 16;

/**
 * `rows` little-endian two's complement integers of `from` bytes as integers of `to` bytes: widened by sign (or zeros), or
 * cut. In 32-bit words, since a BigInt per value would cost fifty times as much.
 */
export function resized(data: Uint8Array, rows: number, from: IntegerBytes, to: IntegerBytes, signed = true): Uint8Array {
  const source = aligned(data.subarray(0, rows * from));
  invariant(source.byteLength === rows * from, 'a column has a value per row');
  if (from === to) return source;
  const out = new Uint8Array(rows * to);
  if (from <= 4) fromNarrow(narrow(source, from as 1 | 2 | 4, signed), out, rows, to, signed);
  else fromWide(words(source), from / 4, out, rows, to, signed);
  return out;
}

function fromNarrow(values: ArrayLike<number>, out: Uint8Array, rows: number, to: IntegerBytes, signed: boolean): void {
  if (to <= 4) {
    const target = narrow(out, to as 1 | 2 | 4, true);
    for (let i = 0; i < rows; i++) target[i] = values[i] as number;
    return;
  }
  const target = words(out);
  const step = to / 4;
  for (let i = 0; i < rows; i++) {
    const value = values[i] as number;
    const sign = signed ? value >> 31 : 0;
    target[i * step] = value;
    for (let w = 1; w < step; w++) target[i * step + w] = sign;
  }
}

function fromWide(source: Int32Array, sourceStep: number, out: Uint8Array, rows: number, to: IntegerBytes, signed: boolean): void {
  if (to <= 4) {
    const target = narrow(out, to as 1 | 2 | 4, true);
    for (let i = 0; i < rows; i++) target[i] = source[i * sourceStep] as number;
    return;
  }
  const target = words(out);
  const step = to / 4;
  for (let i = 0; i < rows; i++) {
    const sign = signed ? (source[i * sourceStep + sourceStep - 1] as number) >> 31 : 0;
    for (let w = 0; w < step; w++) target[i * step + w] = w < sourceStep ? (source[i * sourceStep + w] as number) : sign;
  }
}

function narrow(bytes: Uint8Array, width: 1 | 2 | 4, signed: boolean): Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array {
  const buffer = bytes.buffer as ArrayBuffer;
  const length = bytes.byteLength / width;
  if (width === 1) return signed ? new Int8Array(buffer, bytes.byteOffset, length) : bytes;
  if (width === 2) return signed ? new Int16Array(buffer, bytes.byteOffset, length) : new Uint16Array(buffer, bytes.byteOffset, length);
  return signed ? new Int32Array(buffer, bytes.byteOffset, length) : new Uint32Array(buffer, bytes.byteOffset, length);
}

function words(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / 4);
}

function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
}
