// A query worker: a host like any other, attached to the device through its socket, that runs one SQL query at a time for
// clients that bring no engine of their own. Started by the daemon, spoken to over Node IPC, answering on descriptor 3.
import { z } from 'zod';
import { MillraceError } from '../../pushdown/types/error.js';
import type { Client } from '../node/client.js';
import { connect } from '../node/connect.js';
import type { OnBehalfOf } from '../node/transport/shm-transport.js';
import { AnswerWriter } from './answer-writer.js';
import { answer, contentTypes } from './answers.js';
import type { FromWorker, ToWorker, WorkerFailure, WorkerProgress, WorkerQuery, WorkerStart } from './protocol.js';

const toWorker = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('start'), url: z.string(), socketPath: z.string(), memoryLimitBytes: z.number().int().positive(), threads: z.number().int().positive(), token: z.string().optional(), ticket: z.string() }),
  z.object({ kind: z.literal('query'), id: z.number().int(), sql: z.string(), pushdown: z.enum(['auto', 'always', 'never']), answer: z.enum(['json', 'arrow', 'explain', 'analyze', 'plan']), datasets: z.array(z.string()).optional(), tenant: z.number().int(), actor: z.number().int(), kernels: z.array(z.string()).optional() }),
  z.object({ kind: z.literal('cancel'), id: z.number().int() }),
  z.object({ kind: z.literal('stop') }),
]);

/** News of a running query. */
const progressMs = 200;

const out = new AnswerWriter(() => process.exit(1)); // the daemon is gone, or lost patience
let client: Client | undefined;
/** Of the query that runs. */
let onBehalfOf: OnBehalfOf = { tenant: 0, actor: 0 };
let running: { readonly id: number; readonly abort: AbortController } | undefined;

process.on('message', (message) => {
  const order = toWorker.parse(message) as ToWorker;
  switch (order.kind) {
    case 'start': return void start(order);
    case 'query': return void query(order);
    case 'cancel': return running?.id === order.id ? running.abort.abort() : undefined;
    case 'stop': return void stop();
    default: return order satisfies never;
  }
});
process.on('disconnect', () => process.exit(0));

async function start({ url, token, ticket, memoryLimitBytes }: WorkerStart): Promise<void> {
  client = await connect({ url, transport: 'shm', besideDevice: true, ticket, onBehalfOf: () => onBehalfOf, hostMemoryBytes: memoryLimitBytes, ...(token === undefined ? {} : { token }) });
  send({ kind: 'ready' });
}

async function query(order: WorkerQuery): Promise<void> {
  if (!client || running) return send({ kind: 'failed', id: order.id, error: { code: 'MR_WORKER_BUSY', detail: 'The query worker runs another query.', httpStatus: 503 } });
  const abort = new AbortController();
  running = { id: order.id, abort };
  onBehalfOf = { tenant: order.tenant, actor: order.actor, ...(order.kernels && { kernels: new Set(order.kernels) }) };
  let started = false;
  const onStart = () => {
    started = true;
    send({ kind: 'started', id: order.id, contentType: contentTypes[order.answer] });
  };
  let progress: (() => WorkerProgress) | undefined;
  const tell = () => {
    if (progress) send({ kind: 'progress', id: order.id, ...progress() });
  };
  const ticking = setInterval(tell, progressMs);
  out.begin();
  try {
    const { rows, verdict } = await answer(client, order, abort.signal, out, onStart, (now) => { progress = now; });
    await out.end();
    tell();
    running = undefined;
    send({ kind: 'done', id: order.id, rows, answerBytes: out.answerBytes, ...verdict });
  } catch (error) {
    const failure = failureOf(error);
    if (started) {
      if (order.answer === 'json') await out.write(Buffer.from(`${JSON.stringify({ error: { code: failure.code, detail: failure.detail, ...(failure.position === undefined ? {} : { position: failure.position }) } })}\n`));
      await out.end();
    }
    running = undefined;
    tell();
    send({ kind: 'failed', id: order.id, error: failure });
  } finally {
    clearInterval(ticking);
  }
}

async function stop(): Promise<void> {
  running?.abort.abort();
  await client?.close();
  process.exit(0);
}

function failureOf(error: unknown): WorkerFailure {
  if (error instanceof MillraceError) {
    const { position, field, httpStatus } = error.at;
    return { code: error.code, detail: error.message, ...(position === undefined ? {} : { position }), ...(field === undefined ? {} : { field }), httpStatus: httpStatus ?? 400 };
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return { code: 'MR_INTERNAL', detail: 'The query worker failed; the daemon log has its words.', httpStatus: 500 };
}

function send(message: FromWorker): void {
  process.send?.(message);
}
