/** What a file is. csv and json may be gzip or zstd compressed; json is one document, an array or one document per line. */
export type SourceFormat = 'parquet' | 'arrow' | 'csv' | 'json';
export const sourceFormats = ['parquet', 'arrow', 'csv', 'json'] as const satisfies readonly SourceFormat[];

/** How to read a file where guessing is not enough. Everything but `types` is for csv only. */
export interface SourceOptions {
  /** Column name to DuckDB type, instead of what the file says or the sniffer found. */
  readonly types?: Readonly<Record<string, string>>;
  /** 1 to 4 characters. */
  readonly delimiter?: string;
  /** Whether the first line names the columns. */
  readonly header?: boolean;
  /** The text that means NULL (besides an empty field). */
  readonly nullText?: string;
  /** Character around fields; '' for none. */
  readonly quote?: string;
}

/** Files of one dataset. */
export const sourceFilesMax = 1000;

/** By the file's name, compression endings aside: .csv .tsv .txt, .json .ndjson .jsonl .geojson, .arrow .arrows .feather .ipc; otherwise parquet. */
export function formatOfName(name: string): SourceFormat {
  const bare = name.replace(/\.(gz|zst|zstd)$/i, '');
  if (/\.(csv|tsv|txt)$/i.test(bare)) return 'csv';
  if (/\.(json|ndjson|jsonl|geojson|topojson)$/i.test(bare)) return 'json';
  return /\.(arrows?|feather|ipc)$/i.test(bare) ? 'arrow' : 'parquet';
}

/** Metadata of an Arrow field of text: the DuckDB type whose values the text stands for. */
export const typeMetadataKey = 'millrace.type';
