import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../../native/index.js';
import type { DatasetColumnInfo } from '../../pushdown/types/dataset-info.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { columnsSchema } from '../datasets/column-schema.js';
import type { Extent } from '../datasets/extents.js';
import type { ToIngest } from './protocol.js';

export interface IngestOptions {
  /** Node binary and script of the child. */
  readonly node: string;
  readonly script?: string;
  readonly start: Omit<Extract<ToIngest, { kind: 'start' }>, 'kind'>;
  /** Blocks for the child, already writable under its ticket. Throws MillraceError (MR_NO_SPACE) to refuse. */
  readonly grant: (blocks: number) => Promise<Extent>;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((rows: number) => void) | undefined;
}

export interface Ingested {
  readonly rows: number;
  readonly rowGroups: number;
  readonly columns: readonly DatasetColumnInfo[];
  /** DatasetHeader and ChunkRecords as the child sent them: unchecked. */
  readonly layout: Uint8Array;
}
/** What was asked for with `extend`: rows, columns and layout are those of the new rows alone. */
export interface IngestedBehind extends Ingested {
  /** Columns whose dictionary is a new one and lies in the layout. */
  readonly rewritten: readonly number[];
}
/** The new rows cannot be stored as the dataset is; nothing was written. */
export interface Unfit {
  readonly column: string;
  readonly reason: string;
}
type Answer = ({ readonly kind: 'done' } & Ingested) | ({ readonly kind: 'extended' } & IngestedBehind) | ({ readonly kind: 'unfit' } & Unfit);

const count = z.int().min(0);
/** 1 TiB of blocks in one request is surely a lie. */
const extentBlocksMax = 2 ** 28;
const fromIngest = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('schema'), columns: z.unknown(), rows: count }),
  z.object({ kind: z.literal('extent'), id: count, blocks: z.int().min(1).max(extentBlocksMax) }),
  z.object({ kind: z.literal('progress'), rows: count }),
  z.object({ kind: z.literal('done'), rows: count, rowGroups: count, columns: columnsSchema, layout: z.instanceof(Uint8Array) }),
  z.object({ kind: z.literal('extended'), rows: count, rowGroups: count, columns: columnsSchema, rewritten: z.array(count).max(4096), layout: z.instanceof(Uint8Array) }),
  z.object({ kind: z.literal('unfit'), column: z.string().max(4096), reason: z.string().max(1000) }),
  z.object({ kind: z.literal('error'), code: z.string().regex(/^MR_[A-Z0-9_]{1,60}$/), detail: z.string().max(10_000), field: z.string().max(4096).optional() }),
]);

const exitGraceMs = 2_000;
const stderrBytesMax = 4_096;

/**
 * Runs one ingest child to its end. When this settles the process is gone, whatever happened, so nothing writes under
 * its ticket any more.
 * @throws MillraceError: the child's own (MR_TYPE_UNSUPPORTED, MR_FILE_INVALID, ...), grant's, MR_INGEST_FAILED when the
 * child died or broke the protocol; the signal's reason when aborted.
 */
export async function runIngest(options: IngestOptions): Promise<Ingested> {
  const answer = await run(options);
  if (answer.kind !== 'done') throw new MillraceError('MR_INGEST_FAILED', 'The ingest process answered what it was not asked.');
  return answer;
}

/** The same with `start.extend`. @throws MillraceError as runIngest */
export async function runExtend(options: IngestOptions): Promise<IngestedBehind | Unfit> {
  const answer = await run(options);
  if (answer.kind === 'done') throw new MillraceError('MR_INGEST_FAILED', 'The ingest process answered what it was not asked.');
  return answer;
}

async function run(options: IngestOptions): Promise<Answer> {
  options.signal?.throwIfAborted();
  const [program, ...words] = jailed(options.node, options.script ?? join(packageRoot, 'dist/daemon/ingest/child.js'));
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'advanced' });
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('close', (code, signal) => resolve(signal ? `was ended by ${signal}` : `ended with code ${code}`));
  });
  const stderr = tail(child);
  const onAbort = () => void child.kill('SIGKILL');
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await converse(child, options, exited.then((how) => new MillraceError('MR_INGEST_FAILED', `The ingest process ${how}. ${stderr()}`.trim())));
  } catch (error) {
    child.kill('SIGKILL');
    throw options.signal?.aborted ? options.signal.reason : error;
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
    const grace = setTimeout(() => child.kill('SIGKILL'), exitGraceMs);
    await exited;
    clearTimeout(grace);
  }
}

/** Address space the child may write to: DuckDB's limit, the data region and V8 many times over; what a decompression bomb meets. */
const childDataBytes = 16 * 2 ** 30;

/**
 * Through the launcher, where it was built: no descriptor but stdio and the channel, no core files, no way to more privilege,
 * and an end with the daemon's.
 */
function jailed(node: string, script: string): [string, ...string[]] {
  const launcher = join(packageRoot, 'build/Release/slot_launcher');
  if (!existsSync(launcher)) return [node, script];
  return [launcher, '--profile', 'ingest', '--parent', String(process.pid), '--keep-fds', '1', '--data-bytes', String(childDataBytes), '--', node, script];
}

function converse(child: ChildProcess, options: IngestOptions, died: Promise<MillraceError>): Promise<Answer> {
  return new Promise<Answer>((resolve, reject) => {
    let refusal: unknown;
    const send = (message: ToIngest) => {
      // A dead child is reported by its exit.
      if (child.connected) child.send(message, () => undefined);
    };
    const grant = async (id: number, blocks: number) => {
      try {
        send({ kind: 'extent', id, ...(await options.grant(blocks)) });
      } catch (error) {
        if (!(error instanceof MillraceError)) return reject(error);
        refusal = error;
        send({ kind: 'refused', id, code: error.code, detail: error.message });
      }
    };
    child.on('message', (raw) => {
      const parsed = fromIngest.safeParse(raw);
      if (!parsed.success) return reject(new MillraceError('MR_INGEST_FAILED', `The ingest process broke the protocol: ${z.prettifyError(parsed.error)}`));
      const message = parsed.data;
      switch (message.kind) {
        case 'schema':
          return;
        case 'extent':
          return void grant(message.id, message.blocks);
        case 'progress':
          return options.onProgress?.(message.rows);
        case 'done':
        case 'extended':
        case 'unfit':
          return resolve(message);
        case 'error':
          return reject(refusal ?? new MillraceError(message.code, message.detail, message.field === undefined ? {} : { field: message.field }));
      }
    });
    void died.then((error) => reject(refusal ?? error));
    send({ kind: 'start', ...options.start });
  });
}

/** The last words on the child's stderr, bounded. */
function tail(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-stderrBytesMax);
  });
  return () => text.trim();
}
