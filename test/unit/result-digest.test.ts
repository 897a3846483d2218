import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { rowsOf } from '../../clients/node/result/row-slice.js';
import { ResultDigest } from '../../clients/pages/result-digest.js';
import { Sha256 } from '../../pushdown/runtime/sha256.js';
import type { Batch } from '../../pushdown/types/batch.js';

describe('SHA-256 in pieces', () => {
  it.each([0, 1, 55, 56, 63, 64, 65, 119, 128, 1000])('%i bytes, cut anywhere, hash as Node hashes them', (bytes) => {
    const data = randomBytes(bytes);
    for (const cut of [0, 1, bytes >> 1, bytes]) expect(new Sha256().update(data.subarray(0, cut)).update(data.subarray(cut)).hex()).toBe(createHash('sha256').update(data).digest('hex'));
  });
});

describe('the digest of a result', () => {
  const floats = (values: readonly number[], validity: Uint8Array | null = null): Batch => ({
    rows: values.length, columns: [{ name: 'x', type: { kind: 'float64' }, physical: 'f64', nullable: validity !== null }],
    data: [{ validity, offsets: null, data: new Uint8Array(Float64Array.from(values).buffer) }],
  });
  const digest = (...batches: Batch[]): string => {
    const made = new ResultDigest();
    for (const batch of batches) made.add(batch);
    return made.hex();
  };

  it('does not depend on how rows were cut into batches, nor on what lies under a NULL', () => {
    const whole = floats([1, 2, 3], Uint8Array.of(0b101));
    expect(digest(rowsOf(whole, 0, 1), rowsOf(whole, 1, 3))).toBe(digest(whole));
    expect(digest(floats([1, 99, 3], Uint8Array.of(0b101)))).toBe(digest(whole));
  });

  it('sees order, signs of zero and NULLs', () => {
    expect(new Set([digest(floats([1, 2])), digest(floats([2, 1])), digest(floats([0])), digest(floats([-0])), digest(floats([0], Uint8Array.of(0))), digest()]).size).toBe(6);
  });

  it('does not depend on how integers are stored', () => {
    const stored = (physical: 'i8' | 'i64', data: Uint8Array): Batch => ({ rows: 2, columns: [{ name: 'n', type: { kind: 'int64' }, physical, nullable: false }], data: [{ validity: null, offsets: null, data }] });
    expect(digest(stored('i8', new Uint8Array(Int8Array.of(-1, 7).buffer)))).toBe(digest(stored('i64', new Uint8Array(BigInt64Array.of(-1n, 7n).buffer))));
  });
});
