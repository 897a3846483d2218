import type { CatalogEntry } from '../catalog/catalog.js';
import { chunksOf } from './layout.js';
import type { Media } from './media.js';

export interface ScrubReport {
  readonly chunks: number;
  readonly bytes: number;
  /** Chunks whose checksum does not match. rowGroup 'dictionary': the column's dictionary. */
  readonly damaged: readonly { readonly column: string; readonly rowGroup: number | 'dictionary' }[];
}

/** Reads every chunk of a dataset from the media and compares checksums. */
export async function scrub(entry: CatalogEntry, media: Media): Promise<ScrubReport> {
  const damaged: { column: string; rowGroup: number | 'dictionary' }[] = [];
  let chunks = 0;
  let bytes = 0;
  for (const { column, rowGroup, chunk } of chunksOf(entry.layout)) {
    if (!(await media.intact(chunk))) damaged.push({ column: entry.columns[column].name, rowGroup });
    chunks++;
    bytes += chunk.usedBytes;
  }
  return { chunks, bytes, damaged };
}
