import { Writable } from 'node:stream';
import * as arrow from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { type Layout, writeLayout } from '../../daemon/datasets/layout.js';
import { exportStream } from '../../daemon/export/export-stream.js';
import { ChunkRecord } from '../../pushdown/runtime/wire.gen.js';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';

/** Chunks by slba, records to them: a dataset of one row group without a device. */
class MemoryDataset {
  readonly chunks = new Map<number, Uint8Array>();
  record(rows: number, nullCount: number, validity: Uint8Array | null, offsets: Int32Array | null, data: Uint8Array): Uint8Array {
    const slba = this.chunks.size + 1;
    const record = new Uint8Array(ChunkRecord.bytes);
    const view = new DataView(record.buffer);
    const parts = [validity, offsets && new Uint8Array(offsets.buffer), data];
    const names = [ChunkRecord.validityOffsetBytes, ChunkRecord.offsetsOffsetBytes, ChunkRecord.dataOffsetBytes];
    let at = 0;
    const bytes = new Uint8Array(4096);
    for (const [i, part] of parts.entries()) {
      if (!part) continue;
      view.setUint32(names[i], at, true);
      view.setUint32(names[i] + 4, part.byteLength, true);
      bytes.set(part, at);
      at += Math.ceil(part.byteLength / 64) * 64;
    }
    view.setBigUint64(ChunkRecord.slba, BigInt(slba), true);
    view.setBigUint64(ChunkRecord.usedBytes, BigInt(at), true);
    view.setUint32(ChunkRecord.rows, rows, true);
    view.setUint32(ChunkRecord.nullCount, nullCount, true);
    this.chunks.set(slba, bytes.slice(0, at));
    return record;
  }
  read = async (chunk: { slba: number }) => this.chunks.get(chunk.slba)!.slice(); // every slba of a record was put there
}

async function exported(columns: DatasetColumnInfo[], layout: Layout, media: MemoryDataset): Promise<arrow.Table> {
  const parts: Buffer[] = [];
  const out = new Writable({ write: (part, _, done) => { parts.push(Buffer.from(part)); setImmediate(done); } });
  await exportStream(columns, writeLayout(layout, 1), media, out);
  return arrow.tableFromIPC(Buffer.concat(parts));
}
const column = (name: string, type: DatasetColumnInfo['type'], physical: DatasetColumnInfo['physical'], extra: Partial<DatasetColumnInfo> = {}): DatasetColumnInfo => ({ name, type, physical, nullable: false, nullCount: 0, ...extra });
const bytesOf = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const strings = (values: string[]) => {
  const encoded = values.map((v) => new TextEncoder().encode(v));
  const offsets = new Int32Array(values.length + 1);
  for (const [i, e] of encoded.entries()) offsets[i + 1] = offsets[i] + e.byteLength;
  return { offsets, data: new Uint8Array(Buffer.concat(encoded)) };
};

describe('exportStream', () => {
  it('widens every stored width to the logical type', async () => {
    const media = new MemoryDataset();
    const columns: DatasetColumnInfo[] = [];
    const records: Uint8Array[] = [];
    const dictionaries: (Uint8Array | undefined)[] = [];
    const expected: unknown[][] = [];
    const add = (c: DatasetColumnInfo, data: ArrayBufferView, values: unknown[], rest: { validity?: Uint8Array; offsets?: Int32Array; dictionary?: Uint8Array } = {}) => {
      columns.push(c);
      records.push(media.record(3, c.nullCount, rest.validity ?? null, rest.offsets ?? null, bytesOf(data)));
      dictionaries.push(rest.dictionary);
      expected.push(values);
    };
    add(column('i64 as i8', { kind: 'int64' }, 'i8'), new Int8Array([-128, 0, 127]), [-128n, 0n, 127n]);
    add(column('i64', { kind: 'int64' }, 'i64'), new BigInt64Array([-(2n ** 63n), 0n, 2n ** 63n - 1n]), [-(2n ** 63n), 0n, 2n ** 63n - 1n]);
    add(column('i32 as i16', { kind: 'int32' }, 'i16'), new Int16Array([-32768, 5, 32767]), [-32768, 5, 32767]);
    add(column('i8', { kind: 'int8' }, 'i8'), new Int8Array([-1, 0, 1]), [-1, 0, 1]);
    add(column('u8 as i16', { kind: 'uint8' }, 'i16'), new Int16Array([0, 128, 255]), [0, 128, 255]);
    add(column('u16 as i32', { kind: 'uint16' }, 'i32'), new Int32Array([0, 40000, 65535]), [0, 40000, 65535]);
    add(column('u32 as i64', { kind: 'uint32' }, 'i64'), new BigInt64Array([0n, 3_000_000_000n, 4_294_967_295n]), [0, 3_000_000_000, 4_294_967_295]);
    add(column('decimal as i16', { kind: 'decimal', precision: 15, scale: 2 }, 'i16'), new Int16Array([-100, 0, 12345]), ['-100', '0', '12345']);
    add(column('decimal as i64', { kind: 'decimal', precision: 18, scale: 2 }, 'i64'), new BigInt64Array([-999999999999999999n, 0n, 5n]), ['-999999999999999999', '0', '5']);
    add(column('date', { kind: 'date' }, 'i16'), new Int16Array([-1, 0, 19000]), [-86_400_000, 0, 19000 * 86_400_000]);
    add(column('timestamp', { kind: 'timestamp', utc: true }, 'i32'), new Int32Array([-1000, 0, 5000]), [-1, 0, 5]);
    add(column('f32', { kind: 'float32' }, 'f32'), new Float32Array([1.5, -0, Number.NaN]), [1.5, -0, Number.NaN]);
    add(column('f64 null', { kind: 'float64' }, 'f64', { nullable: true, nullCount: 1 }), new Float64Array([1.25, 0, 3]), [1.25, null, 3], { validity: new Uint8Array([0b101]) });
    add(column('bool', { kind: 'bool' }, 'bool', { nullable: true, nullCount: 1 }), new Uint8Array([0b001]), [true, false, null], { validity: new Uint8Array([0b011]) });
    const text = strings(['', 'žluťoučký', 'x']);
    add(column('utf8', { kind: 'utf8' }, 'utf8'), text.data, ['', 'žluťoučký', 'x'], { offsets: text.offsets });
    const words = strings(['a', 'b']);
    const dictionary = media.record(2, 0, null, words.offsets, words.data);
    // The code under the null is out of range, as a writer may leave it.
    add(column('dict', { kind: 'utf8' }, 'dict8', { nullable: true, nullCount: 1, dictionaryEntries: 2 }), new Int8Array([1, 77, 0]), ['b', null, 'a'], { validity: new Uint8Array([0b101]), dictionary });

    const table = await exported(columns, { rowGroups: 1, rowGroupRowsMax: 3, columns: records, dictionaries }, media);
    expect(table.numRows).toBe(3);
    for (const [i, c] of columns.entries()) {
      const vector = table.getChildAt(i)!; // as many children as columns
      const values = [...vector].map((v) => (c.type.kind === 'decimal' ? decimalText(v as Uint32Array) : v));
      expect(values, c.name).toEqual(expected[i]);
    }
    expect(String(table.schema.fields[7].type)).toBe('Decimal[15e+2]');
    expect(table.schema.fields[0].nullable).toBe(false);
  });

  it('writes a schema for a dataset without rows', async () => {
    const media = new MemoryDataset();
    const none = strings([]);
    const dictionary = media.record(0, 0, null, none.offsets, none.data);
    const columns = [column('a', { kind: 'int64' }, 'i8'), column('d', { kind: 'utf8' }, 'dict8', { dictionaryEntries: 0 })];
    const table = await exported(columns, { rowGroups: 0, rowGroupRowsMax: 0, columns: [new Uint8Array(0), new Uint8Array(0)], dictionaries: [undefined, dictionary] }, media);
    expect(table.numRows).toBe(0);
    expect(table.schema.names).toEqual(['a', 'd']);
  });

  it('refuses codes past the dictionary and offsets that do not ascend', async () => {
    const media = new MemoryDataset();
    const words = strings(['a', 'b']);
    const dictionary = media.record(2, 0, null, words.offsets, words.data);
    const codes = [column('d', { kind: 'utf8' }, 'dict8', { dictionaryEntries: 2 })];
    const bad = media.record(1, 0, null, null, new Uint8Array([2]));
    await expect(exported(codes, { rowGroups: 1, rowGroupRowsMax: 1, columns: [bad], dictionaries: [dictionary] }, media)).rejects.toMatchObject({ code: 'MR_DATASET_DAMAGED' });
    const text = [column('s', { kind: 'utf8' }, 'utf8')];
    const backwards = media.record(2, 0, null, new Int32Array([0, 5, 3]), new Uint8Array(5));
    await expect(exported(text, { rowGroups: 1, rowGroupRowsMax: 2, columns: [backwards], dictionaries: [undefined] }, media)).rejects.toMatchObject({ code: 'MR_DATASET_DAMAGED' });
  });
});

function decimalText(words: Uint32Array): string {
  const value = [...words].reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n);
  return String(BigInt.asIntN(128, value));
}
