import zlib from 'node:zlib';
import { compressionRegistry, CompressionType, type RecordBatch, RecordBatchReader } from 'apache-arrow';
import type { DuckBatch, DuckColumn, NativeDuckDB } from '../../native/index.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { isDuckType } from '../../pushdown/plan/duck-type-text.js';
import { ofText } from '../../pushdown/plan/opaque-text.js';
import { typeMetadataKey } from '../../pushdown/types/source-options.js';
import { arrowColumns } from './arrow-columns.js';
import { quoted } from './column-type.js';
import { arrowWords } from '../../pushdown/plan/file-words.js';
import { decodeLz4Frame } from './lz4-frame.js';

/**
 * Makes the record batches of an Arrow IPC file or stream a relation of DuckDB by the name `relation`, without copying plain buffers.
 * @returns what to put behind FROM
 * @throws MillraceError MR_FILE_INVALID, MR_TYPE_UNSUPPORTED, MR_TABLE_INVALID
 */
export async function registerArrow(db: NativeDuckDB, bytes: Uint8Array, relation: string): Promise<string> {
  registerDecoders();
  const read = readBatches(bytes);
  const { columns, batches, restored } = convert(read);
  await db.registerTable(relation, columns, batches);
  return restored.length === 0 ? relation : `(SELECT * REPLACE (${restored.map(([name, type]) => `${ofText(quoted(name), type)} AS ${quoted(name)}`).join(', ')}) FROM ${relation})`;
}

function readBatches(bytes: Uint8Array): { readonly schema: RecordBatch['schema']; readonly batches: readonly RecordBatch[] } {
  try {
    const reader = RecordBatchReader.from(bytes);
    reader.open();
    const { schema } = reader;
    const batches: RecordBatch[] = [];
    for (const batch of reader) batches.push(batch);
    return { schema, batches };
  } catch (error) {
    throw new MillraceError('MR_FILE_INVALID', `This is not an Arrow IPC file or stream that can be read: ${arrowWords(error)}`);
  }
}

interface Converted {
  readonly columns: readonly DuckColumn[];
  readonly batches: readonly DuckBatch[];
  /** Columns of text that stand for values of another type. */
  readonly restored: readonly (readonly [name: string, type: string])[];
}

function convert({ schema, batches }: ReturnType<typeof readBatches>): Converted {
  if (!schema || schema.fields.length === 0) throw new MillraceError('MR_FILE_INVALID', 'The Arrow file has no columns.');
  const names = new Set<string>();
  for (const { name } of schema.fields) {
    const folded = name.toLowerCase();
    if (names.has(folded)) throw new MillraceError('MR_FILE_INVALID', `Two columns are named '${name}' (case does not tell them apart): rename one.`, { field: name });
    names.add(folded);
  }
  const converted = schema.fields.map((field, i) => arrowColumns(field, batches.map((batch) => batch.data.children[i])));
  return {
    columns: converted.map(({ column }) => column),
    batches: batches.map((batch, b) => ({ rows: batch.numRows, buffers: converted.flatMap(({ buffers }) => buffers[b]) })),
    restored: schema.fields.flatMap(({ name, metadata }, i) => {
      const type = converted[i]?.standsFor ?? metadata.get(typeMetadataKey);
      return type !== undefined && isDuckType(type) ? [[name, type] as const] : [];
    }),
  };
}

/** One decompressed buffer at most. */
const bufferBytesMax = 2 ** 31;

/** zstd is Node's own, where it has it (the pinned one does). */
function registerDecoders(): void {
  const { zstdDecompressSync } = zlib as unknown as { zstdDecompressSync?: (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array };
  if (zstdDecompressSync) compressionRegistry.set(CompressionType.ZSTD, { decode: (bytes) => zstdDecompressSync(bytes, { maxOutputLength: bufferBytesMax }) });
  compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: (bytes) => decodeLz4Frame(bytes, bufferBytesMax) });
}
