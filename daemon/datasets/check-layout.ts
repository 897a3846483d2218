import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { isDuckType } from '../../pushdown/plan/duck-type-text.js';
import type { PhysicalType } from '../../pushdown/types/physical.js';
import { type BufferRange, bufferBytesMin, type Chunk, chunkExtent, chunksOf, hasDictionary, type Layout } from './layout.js';
import { blockBytes, coalesce, type Extent } from './extents.js';

const bufferAlignmentBytes = 64;
/** Blocks beyond this cannot be addressed exactly in a JavaScript number times 4096. */
const slbaMax = Number.MAX_SAFE_INTEGER / blockBytes;
/** Codes are signed. */
const dictionaryEntriesMax: Partial<Record<PhysicalType, number>> = { dict8: 1 << 7, dict16: 1 << 15, dict32: 2 ** 31 };

/**
 * What an ingest child says it wrote, against what it was granted and what its schema demands. The child parsed an
 * untrusted file and counts as hostile. Returns the blocks in use (ascending, joined) or what is wrong.
 */
export function checkLayout(
  layout: Layout,
  columns: readonly DatasetColumnInfo[],
  rows: number,
  rowGroupRowsMax: number,
  granted: readonly Extent[],
): readonly Extent[] | string {
  if (layout.rowGroupRowsMax > rowGroupRowsMax) return `row groups of ${layout.rowGroupRowsMax} rows where ${rowGroupRowsMax} were asked for`;
  const grants = [...granted].sort((a, b) => a.slba - b.slba);
  const used: Extent[] = [];
  const groupRows = new Array<number>(layout.rowGroups).fill(0);
  for (const { column, rowGroup, chunk } of chunksOf(layout)) {
    const place = `column '${columns[column].name}', ${rowGroup === 'dictionary' ? 'dictionary' : `row group ${rowGroup}`}`;
    const wrong = rowGroup === 'dictionary' ? dictionaryFault(chunk, columns[column]) : chunkFault(chunk, columns[column]);
    if (wrong) return `${place}: ${wrong}`;
    const extent = chunkExtent(chunk);
    if (extent.blocks > 0) {
      if (!inOneOf(grants, extent)) return `${place}: the chunk lies outside the blocks granted`;
      used.push(extent);
    }
    if (rowGroup === 'dictionary') continue;
    if (column === 0) groupRows[rowGroup] = chunk.rows;
    else if (groupRows[rowGroup] !== chunk.rows) return `${place}: another number of rows than the first column`;
    if (chunk.rows === 0 || chunk.rows > layout.rowGroupRowsMax) return `${place}: ${chunk.rows} rows, the layout allows 1 to ${layout.rowGroupRowsMax}`;
  }
  if (groupRows.reduce((sum, n) => sum + n, 0) !== rows) return 'the row groups do not add up to the number of rows';
  return coalesce(used) ?? 'two chunks share a block';
}

function chunkFault(chunk: Chunk, column: DatasetColumnInfo): string | undefined {
  const min = bufferBytesMin(column, chunk.rows);
  if (chunk.nullCount > chunk.rows) return 'more nulls than rows';
  if (!column.nullable && (chunk.nullCount > 0 || chunk.validity.bytes > 0)) return 'nulls in a column declared without';
  if (chunk.validity.bytes < min.validity) return 'the validity bitmap is too short';
  if (column.physical === 'utf8' ? chunk.offsets.bytes !== min.offsets : chunk.offsets.bytes !== 0) return 'the offsets have another length than the rows need';
  if (chunk.data.bytes < min.data) return 'the data buffer is too short';
  return buffersFault(chunk);
}

/** Dictionaries lie as utf8 chunks without nulls; rows is the number of entries. */
function dictionaryFault(chunk: Chunk, column: DatasetColumnInfo): string | undefined {
  if (chunk.rows !== column.dictionaryEntries) return 'another number of entries than the schema';
  if (chunk.nullCount > 0 || chunk.validity.bytes > 0) return 'a dictionary has no nulls';
  if (chunk.offsets.bytes !== (chunk.rows + 1) * 4) return 'the offsets have another length than the entries need';
  return buffersFault(chunk);
}

function buffersFault({ slba, usedBytes, validity, offsets, data }: Chunk): string | undefined {
  if (!Number.isSafeInteger(usedBytes) || !(slba <= slbaMax)) return 'the chunk is out of any range';
  let end = 0;
  for (const buffer of [validity, offsets, data] satisfies BufferRange[]) {
    if (buffer.bytes === 0) continue;
    if (buffer.offset % bufferAlignmentBytes !== 0 || buffer.offset < end) return 'a buffer is misplaced';
    end = buffer.offset + buffer.bytes;
  }
  return end > usedBytes ? 'a buffer reaches past the checksummed bytes' : undefined;
}

function inOneOf(grants: readonly Extent[], { slba, blocks }: Extent): boolean {
  let low = 0;
  let high = grants.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (grants[middle].slba <= slba) low = middle + 1;
    else high = middle;
  }
  const grant = grants[low - 1];
  return grant !== undefined && slba + blocks <= grant.slba + grant.blocks;
}

/** Schema rules a child must keep; a string says which one it broke. */
export function columnsFault(columns: readonly DatasetColumnInfo[]): string | undefined {
  const names = new Set<string>();
  for (const column of columns) {
    if (names.has(column.name)) return `two columns are named '${column.name}'`;
    names.add(column.name);
    if (!fits(column)) return `column '${column.name}': ${column.type.kind} cannot be stored as ${column.physical}`;
    if (hasDictionary(column) !== (column.dictionaryEntries !== undefined)) return `column '${column.name}': dictionary entries do not match ${column.physical}`;
    if ((column.dictionaryEntries ?? 0) > (dictionaryEntriesMax[column.physical] ?? 0)) return `column '${column.name}': too many dictionary entries for ${column.physical}`;
    if (column.nullCount > 0 && !column.nullable) return `column '${column.name}': nulls in a column declared without`;
  }
  return undefined;
}

function fits({ type, physical }: DatasetColumnInfo): boolean {
  switch (type.kind) {
    case 'bool':
      return physical === 'bool';
    case 'float32':
      return physical === 'f32';
    case 'float64':
      return physical === 'f64';
    case 'utf8':
      return physical === 'utf8' || physical.startsWith('dict');
    case 'opaque':
      return isDuckType(type.sql) && (physical === 'utf8' || physical.startsWith('dict'));
    case 'decimal':
      return type.precision <= 18 && type.scale <= type.precision && isInteger(physical);
    default:
      return isInteger(physical);
  }
}

function isInteger(physical: DatasetColumnInfo['physical']): boolean {
  return physical === 'i8' || physical === 'i16' || physical === 'i32' || physical === 'i64';
}
