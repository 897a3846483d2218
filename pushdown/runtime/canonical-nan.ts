/**
 * The bytes with every NaN as the canonical one (0x7fc00000, 0x7ff8000000000000): which bits a NaN has differs between
 * machines and compilers, and results must not. They come back as they are when there is nothing to change, which is nearly
 * always; the copy is needed because a kernel may put out its read-only input.
 */
export function canonicalNans(bytes: Uint8Array, valueBytes: 4 | 8): Uint8Array {
  const aligned = bytes.byteOffset % valueBytes === 0 ? bytes : bytes.slice();
  const values = floats(aligned, valueBytes);
  if (!hasStrangeNan(values, aligned)) return bytes;
  const copy = aligned === bytes ? bytes.slice() : aligned;
  const canonical = floats(copy, valueBytes);
  // Storing NaN from JavaScript could store any bits: the canonical ones are written as integers.
  if (valueBytes === 4) {
    const words = new Uint32Array(copy.buffer, copy.byteOffset, copy.byteLength / 4);
    for (let i = 0; i < words.length; i++) if (Number.isNaN(canonical[i])) words[i] = 0x7fc00000;
  } else {
    const words = new BigUint64Array(copy.buffer, copy.byteOffset, copy.byteLength / 8);
    for (let i = 0; i < words.length; i++) if (Number.isNaN(canonical[i])) words[i] = 0x7ff8000000000000n;
  }
  return copy;
}

type Floats = Float32Array | Float64Array;

function floats(bytes: Uint8Array, valueBytes: 4 | 8): Floats {
  return valueBytes === 4 ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4) : new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
}

/** Looks at bits only where a NaN is; the loop is one comparison per value. */
function hasStrangeNan(values: Floats, bytes: Uint8Array): boolean {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  if (values instanceof Float32Array) {
    for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i]) && words[i] !== 0x7fc00000) return true;
  } else for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i]) && (words[2 * i] !== 0 || words[2 * i + 1] !== 0x7ff80000)) return true;
  return false;
}
