// Frames come from slots and over wires: whatever the bytes, the parser answers with frames, patience or MR_FRAME_INVALID.
import { expect, it } from 'vitest';
import fc from 'fast-check';
import { frameBatch } from '../../pushdown/runtime/frame-batch.js';
import { readFrames } from '../../pushdown/runtime/frame-read.js';
import { frameBytes, rowsThatFit, writeFrame } from '../../pushdown/runtime/frame-write.js';
import type { ColumnData } from '../../pushdown/types/batch.js';
import { MillraceError } from '../../pushdown/types/error.js';
import type { Column } from '../../pushdown/types/schema.js';

const long = process.env.MILLRACE_TEST === 'long';
const seed = long ? Date.now() & 0x7fffffff : 20261;
const settings = { seed, numRuns: long ? 200_000 : 2_000 };
console.log(`frames fuzz: seed ${seed}`);

const kinds = {
  i16: { layout: 'fixed', valueBytes: 2 },
  f64: { layout: 'fixed', valueBytes: 8 },
  bool: { layout: 'bits', valueBytes: 0 },
  utf8: { layout: 'utf8', valueBytes: 0 },
  dict8: { layout: 'fixed', valueBytes: 1 },
} as const;
type Kind = keyof typeof kinds;
const types = { i16: { kind: 'int16' }, f64: { kind: 'float64' }, bool: { kind: 'bool' }, utf8: { kind: 'utf8' }, dict8: { kind: 'utf8' } } as const;

const shape = fc.record({
  rows: fc.integer({ min: 0, max: 200 }),
  columns: fc.array(fc.record({ kind: fc.constantFrom<Kind>('i16', 'f64', 'bool', 'utf8', 'dict8'), nullable: fc.boolean() }), { maxLength: 5 }),
  salt: fc.integer(),
});
type Shape = { rows: number; columns: { kind: Kind; nullable: boolean }[]; salt: number };

function build({ rows, columns, salt }: Shape): { columns: Column[]; data: ColumnData[]; layouts: (typeof kinds)[Kind][] } {
  let state = salt | 1;
  const next = () => (state = Math.imul(state, 1664525) + 1013904223) >>> 24;
  const bitmap = () => Uint8Array.from({ length: (rows + 7) >>> 3 }, next);
  return {
    columns: columns.map(({ kind, nullable }, i) => ({ name: `c${i}`, type: types[kind], physical: kind, nullable, ...(kind === 'dict8' ? { dictionary: ['a', 'b', 'c'] } : {}) })),
    layouts: columns.map(({ kind }) => kinds[kind]),
    data: columns.map(({ kind, nullable }) => {
      const validity = nullable ? bitmap() : null;
      if (kind === 'bool') return { validity, offsets: null, data: bitmap() };
      if (kind !== 'utf8') return { validity, offsets: null, data: Uint8Array.from({ length: rows * kinds[kind].valueBytes }, () => (kind === 'dict8' ? next() % 3 : next())) };
      const offsets = new Int32Array(rows + 1);
      for (let r = 0; r < rows; r++) offsets[r + 1] = offsets[r] + (next() & 15);
      return { validity, offsets, data: Uint8Array.from({ length: offsets[rows] }, next) };
    }),
  };
}

const stamp = { scan: 1, morsel: 2, sequence: 0, last: true, place: 0, elapsedNs: 0n };
const bit = (bitmap: Uint8Array, i: number) => (bitmap[i >>> 3] >>> (i & 7)) & 1;

/** Rows as text, cut by cut, so that bitmap tails and rebased offsets do not matter. */
function rowsOf(columns: readonly Column[], data: readonly ColumnData[], rows: number): string[] {
  return Array.from({ length: rows }, (_, r) => columns.map((c, i) => {
    const d = data[i];
    if (d.validity && !bit(d.validity, r)) return 'null';
    if (c.physical === 'bool') return bit(d.data, r);
    if (d.offsets) return Buffer.from(d.data.slice(d.offsets[r], d.offsets[r + 1])).toString('hex');
    const width = kinds[c.physical as Kind].valueBytes;
    return Buffer.from(d.data.slice(r * width, (r + 1) * width)).toString('hex');
  }).join('|'));
}

it('rows come back as they went, however they are cut', () => {
  fc.assert(fc.property(shape, fc.integer({ min: 256, max: 4096 }), (shape, bytesMax) => {
    const { columns, data, layouts } = build(shape);
    const got: string[] = [];
    for (let from = 0; from < shape.rows || from === 0; ) {
      const rows = rowsThatFit(layouts, { data, from, to: shape.rows }, bytesMax);
      if (rows === 0 && shape.rows > 0) return; // not even eight rows fit: the slot reports OutputLimit
      const cut = { data, from, to: from + rows };
      const target = new Uint8Array(frameBytes(layouts, cut)).fill(0x55);
      expect(writeFrame(target, 0, stamp, layouts, cut)).toBe(target.length);
      const { frames, usedBytes } = readFrames(target);
      expect([frames.length, usedBytes]).toEqual([1, target.length]);
      const batch = frameBatch(frames[0], columns);
      got.push(...rowsOf(columns, batch.data, batch.rows));
      from += rows;
      if (shape.rows === 0) break;
    }
    expect(got).toEqual(rowsOf(columns, data, shape.rows));
  }), settings);
});

it('changed bytes never get past the checks as anything but a well-formed batch', () => {
  fc.assert(fc.property(shape, fc.array(fc.record({ at: fc.nat(), value: fc.integer() }), { minLength: 1, maxLength: 4 }), (shape, changes) => {
    const { columns, data, layouts } = build(shape);
    const rows = { data, from: 0, to: shape.rows };
    const target = new Uint8Array(frameBytes(layouts, rows));
    writeFrame(target, 0, stamp, layouts, rows);
    const view = new DataView(target.buffer);
    for (const { at, value } of changes) view.setInt32((at % (target.length - 4)) & (at & 1 ? ~7 : ~0), value, true);
    try {
      for (const frame of readFrames(target).frames) {
        const batch = frameBatch(frame, columns);
        batch.data.forEach((d, i) => {
          if (columns[i].nullable && batch.rows > 0) expect(d.validity!.length * 8).toBeGreaterThanOrEqual(batch.rows);
          if (!d.offsets) return;
          expect(d.offsets.length).toBe(batch.rows + 1);
          expect(d.offsets.every((o, r) => o >= (r ? d.offsets![r - 1] : 0) && o <= d.data.length)).toBe(true);
        });
      }
    } catch (thrown) {
      if (!(thrown instanceof MillraceError) || thrown.code !== 'MR_FRAME_INVALID') throw thrown;
    }
  }), settings);
});
