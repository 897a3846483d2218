import { describe, expect, it } from 'vitest';
import { checkLayout, columnsFault } from '../../daemon/datasets/check-layout.js';
import { type Layout, splitLayout, writeLayout } from '../../daemon/datasets/layout.js';
import { ChunkRecord, DatasetHeader } from '../../pushdown/runtime/wire.gen.js';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';

const columns: DatasetColumnInfo[] = [
  { name: 'a', type: { kind: 'int64' }, physical: 'i32', nullable: true, nullCount: 1 },
  { name: 's', type: { kind: 'utf8' }, physical: 'dict8', nullable: false, nullCount: 0, dictionaryEntries: 2 },
];
type Fields = Partial<Record<Exclude<keyof typeof ChunkRecord, 'bytes'>, number>>;
function record(fields: Fields): Uint8Array {
  const bytes = new Uint8Array(ChunkRecord.bytes);
  const view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(fields)) {
    const at = ChunkRecord[name as keyof Fields];
    if (name === 'slba' || name === 'usedBytes') view.setBigUint64(at, BigInt(value), true);
    else view.setUint32(at, value, true);
  }
  return bytes;
}
const granted = [{ slba: 10, blocks: 4 }, { slba: 20, blocks: 1 }];
const good = {
  a: { slba: 10, usedBytes: 464, rows: 100, nullCount: 1, validityBytes: 13, dataOffsetBytes: 64, dataBytes: 400 },
  s: { slba: 11, usedBytes: 100, rows: 100, dataBytes: 100 },
  d: { slba: 20, usedBytes: 70, rows: 2, offsetsBytes: 12, dataOffsetBytes: 64, dataBytes: 6 },
} satisfies Record<string, Fields>;
const layout = (a: Fields = {}, s: Fields = {}, d: Fields = {}): Layout => ({
  rowGroups: 1, rowGroupRowsMax: 128, columns: [record({ ...good.a, ...a }), record({ ...good.s, ...s })], dictionaries: [undefined, record({ ...good.d, ...d })],
});
const check = (l: Layout, rows = 100) => checkLayout(l, columns, rows, 128, granted);

describe('checkLayout', () => {
  it('accepts what is whole and tells its blocks', () => {
    expect(check(layout())).toEqual([{ slba: 10, blocks: 2 }, { slba: 20, blocks: 1 }]);
  });

  it.each<[string, Layout, RegExp, number?]>([
    ['a chunk outside the grants', layout({ slba: 14 }), /outside the blocks granted/],
    ['a chunk that crosses out of a grant', layout({ slba: 13, usedBytes: 5000 }), /outside the blocks granted/],
    ['a chunk before all grants', layout({ slba: 0 }), /outside the blocks granted/],
    ['a huge chunk', layout({ usedBytes: 2 ** 60 }), /out of any range/],
    ['two chunks on one block', layout({}, { slba: 10 }), /share a block/],
    ['a buffer past the end', layout({ dataBytes: 4096 }), /reaches past/],
    ['a buffer in the middle of another', layout({ validityBytes: 80 }), /misplaced/],
    ['an unaligned buffer', layout({ dataOffsetBytes: 60 }), /misplaced/],
    ['too little data', layout({ dataBytes: 396 }), /too short/],
    ['a short bitmap', layout({ validityBytes: 12 }), /too short/],
    ['more nulls than rows', layout({ nullCount: 101 }), /more nulls/],
    ['nulls where there are none', layout({}, { nullCount: 1 }), /declared without/],
    ['offsets of a fixed width', layout({}, { offsetsBytes: 404 }), /offsets/],
    ['other rows in one column', layout({}, { rows: 99 }), /another number of rows/],
    ['too many rows in a group', layout({ rows: 129, dataBytes: 516, usedBytes: 580, validityBytes: 17 }, { rows: 129, dataBytes: 129, usedBytes: 129 }), /allows/, 129],
    ['rows that do not add up', layout(), /add up/, 101],
    ['another dictionary', layout({}, {}, { rows: 3, offsetsBytes: 16 }), /another number of entries/],
    ['dictionary offsets too short', layout({}, {}, { offsetsBytes: 8 }), /offsets/],
  ])('refuses %s', (_, l, words, rows = 100) => {
    expect(check(l, rows)).toMatch(words);
  });
});

describe('splitLayout', () => {
  it('is the inverse of writeLayout', () => {
    const bytes = writeLayout(layout(), 7);
    expect(new DataView(bytes.buffer).getUint32(DatasetHeader.handle, true)).toBe(7);
    expect(splitLayout(bytes, columns)).toEqual(layout());
  });

  it('refuses lengths and counts that do not match', () => {
    const bytes = writeLayout(layout(), 7);
    expect(splitLayout(bytes.subarray(0, 20), columns)).toMatch(/shorter/);
    expect(splitLayout(bytes.subarray(0, bytes.length - 1), columns)).toMatch(/length/);
    expect(splitLayout(bytes, columns.slice(0, 1))).toMatch(/columns/);
    const many = bytes.slice();
    new DataView(many.buffer).setUint32(DatasetHeader.rowGroups, 0xffffffff, true);
    expect(splitLayout(many, columns)).toMatch(/row groups/);
  });
});

describe('columnsFault', () => {
  it('knows what can be stored how', () => {
    expect(columnsFault(columns)).toBeUndefined();
    expect(columnsFault([columns[0], columns[0]])).toMatch(/named/);
    expect(columnsFault([{ ...columns[0], physical: 'f64' }])).toMatch(/cannot be stored/);
    expect(columnsFault([{ ...columns[1], dictionaryEntries: 129 }])).toMatch(/too many/);
    expect(columnsFault([{ ...columns[0], nullable: false }])).toMatch(/declared without/);
  });
});
