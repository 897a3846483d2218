// The ingest process: parses one untrusted file and writes its chunks through an association of its own. See protocol.ts.
import { MillraceError, invariant } from '../../pushdown/types/error.js';
import { loadFile } from './load-file.js';
import type { FromIngest, ToIngest } from './protocol.js';

type Extent = { readonly slba: number; readonly blocks: number };

const waiting = new Map<number, { readonly resolve: (extent: Extent) => void; readonly reject: (error: unknown) => void }>();
let nextExtent = 1;
/** Words of DuckDB may quote the file; the daemon takes no novels. */
const detailCharsMax = 4_000;
const fieldCharsMax = 1_000;

function send(message: FromIngest, sent?: () => void): void {
  invariant(process.send, 'started with an IPC channel');
  // A parent that is gone is noticed by 'disconnect'.
  process.send(message, undefined, undefined, () => sent?.());
}

function requestExtent(blocks: number): Promise<Extent> {
  return new Promise((resolve, reject) => {
    const id = nextExtent++;
    waiting.set(id, { resolve, reject });
    send({ kind: 'extent', id, blocks });
  });
}

/** Ends the process once the message is out; nothing else may keep it alive. */
function finish(message: FromIngest, code: number): void {
  send(message, () => process.exit(code));
}

async function start(message: Extract<ToIngest, { kind: 'start' }>): Promise<void> {
  try {
    const loaded = await loadFile(message, {
      request: requestExtent,
      schema: (columns, rows) => send({ kind: 'schema', columns, rows }),
      progress: (rows) => send({ kind: 'progress', rows }),
    });
    if ('unfit' in loaded) return finish({ kind: 'unfit', ...loaded.unfit }, 0);
    if (loaded.rewritten) return finish({ kind: 'extended', rows: loaded.rows, rowGroups: loaded.rowGroups, columns: loaded.columns, rewritten: loaded.rewritten, layout: loaded.layout }, 0);
    finish({ kind: 'done', rows: loaded.rows, rowGroups: loaded.rowGroups, columns: loaded.columns, layout: loaded.layout }, 0);
  } catch (error) {
    const known = error instanceof MillraceError;
    if (!known) console.error(error);
    const detail = error instanceof Error ? error.message : String(error);
    const field = known ? error.at.field?.slice(0, fieldCharsMax) : undefined;
    finish({ kind: 'error', code: known ? error.code : 'MR_INGEST_FAILED', detail: detail.slice(0, detailCharsMax), ...(field === undefined ? {} : { field }) }, 1);
  }
}

process.on('disconnect', () => process.exit(1));
process.on('message', (raw) => {
  const message = raw as ToIngest;
  switch (message.kind) {
    case 'start':
      return void start(message);
    case 'extent':
    case 'refused': {
      const waiter = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.kind === 'extent') waiter?.resolve(message);
      else waiter?.reject(new MillraceError(message.code, message.detail));
    }
  }
});
