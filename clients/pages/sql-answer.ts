import { MillraceError } from '../../pushdown/types/error.js';
import type { ExplainRow } from '../node/scan/explain.js';
import type { Api } from './api.js';
import type { Pushdown } from '../node/scan/options.js';

export interface SqlSummary {
  readonly rows: number;
  readonly ms: number;
  readonly linkBytes: number;
  readonly rowsScanned: number;
  readonly morselsDevice: number;
  readonly morselsHost: number;
  readonly morselsPruned: number;
  readonly columns: readonly { readonly name: string; readonly type: { readonly kind: string } }[];
  readonly plan: readonly ExplainRow[];
}

/** Numbers are their digits as they came: JavaScript's would round long ones. */
export type ShownValue = string | boolean | null;

export interface SqlAnswer {
  /** The first rows, in column order; all were read. */
  readonly rows: readonly Readonly<Record<string, ShownValue>>[];
  readonly summary: SqlSummary;
}

/** Runs a statement at POST /v1/sql and keeps its first rows. Throws what it ended with. */
export async function runSql(api: Api, sql: string, pushdown: Pushdown, rowsShownMax: number, signal: AbortSignal): Promise<SqlAnswer> {
  const response = await api.response('/v1/sql', { method: 'POST', json: { sql, pushdown }, signal });
  const rows: Record<string, ShownValue>[] = [];
  let last = '';
  try {
    for await (const line of linesOf(response)) {
      if (last !== '' && rows.length < rowsShownMax) rows.push(shownRow(last));
      last = line;
    }
  } catch (cause) {
    if (signal.aborted) throw new MillraceError('MR_CANCELLED', 'The query was cancelled.', { cause });
    // A query that fails under way says so in its last line, then the connection breaks.
    if (!last.startsWith('{"error":')) throw new MillraceError('MR_LINK_BROKEN', 'The connection to the daemon broke in the middle of the answer.', { cause });
  }
  const end = JSON.parse(last || '{}') as { summary?: SqlSummary; error?: { code: string; detail: string; position?: number } };
  if (end.error) throw new MillraceError(end.error.code, end.error.detail, end.error.position === undefined ? {} : { position: end.error.position });
  if (!end.summary) throw new MillraceError('MR_LINK_BROKEN', 'The answer ended before its summary: run the query again.');
  return { rows, summary: end.summary };
}

const numberOrText = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

const shownRow = (line: string): Record<string, ShownValue> => JSON.parse(line.replace(numberOrText, (found) => (found.startsWith('"') ? found : `"${found}"`))) as Record<string, ShownValue>;

async function* linesOf(response: Response): AsyncGenerator<string, void, void> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let open = '';
  for (;;) {
    const part = await reader?.read();
    if (!part || part.done) break;
    const pieces = (open + decoder.decode(part.value, { stream: true })).split('\n');
    open = pieces.pop() ?? '';
    yield* pieces;
  }
  if (open !== '') yield open;
}
