import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { packageRoot } from '../../native/index.js';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { MillraceError } from '../../pushdown/types/error.js';
import type { FromExport, StartExport } from './protocol.js';

export interface ExportOptions {
  readonly node: string;
  readonly socketPath: string;
  /** One-time, for the child to attach with. */
  readonly ticket: string;
  readonly columns: readonly DatasetColumnInfo[];
  readonly layout: Uint8Array;
  readonly signal: AbortSignal;
}

/**
 * Starts an export child. `stream` carries the Arrow IPC stream and ends only after the child said it is whole; a reader
 * that destroys it ends the child. `ended` resolves when the child is gone.
 */
export function exportArrow(options: ExportOptions): { readonly stream: Readable; readonly ended: Promise<void> } {
  const child = spawn(options.node, [join(packageRoot, 'dist/daemon/export/child.js')], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], serialization: 'advanced' });
  const stream = new PassThrough();
  let outcome: FromExport | undefined;
  child.on('message', (message: FromExport) => {
    outcome = message;
  });
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('close', () => resolve());
  });
  child.stdout?.pipe(stream, { end: false });
  void ended.then(() => {
    if (outcome?.kind === 'done') return stream.end();
    if (outcome?.kind === 'error') return stream.destroy(new MillraceError(outcome.code, outcome.detail, { httpStatus: 500 }));
    return stream.destroy(options.signal.aborted ? (options.signal.reason as Error) : new MillraceError('MR_EXPORT_FAILED', 'The export process ended before the stream was whole.', { httpStatus: 500 }));
  });
  const stop = () => void child.kill('SIGKILL');
  stream.once('close', stop);
  options.signal.addEventListener('abort', stop, { once: true });
  void ended.then(() => options.signal.removeEventListener('abort', stop));
  const start: StartExport = { socketPath: options.socketPath, ticket: options.ticket, columns: options.columns, layout: options.layout };
  if (child.connected) child.send(start, () => undefined);
  return { stream, ended };
}
