import { z } from 'zod';

/**
 * The daemon's side of what clients/worker/protocol.ts fixes (a layer below may not import that one). Workers run user
 * SQL, so what they say is checked like any input. Answers come on descriptor 3: u32 length, bytes; length 0 ends one.
 */
export const answerFd = 3;
/** Chunks a worker may announce. */
export const answerChunkBytesMax = 64 << 20;

export type AnswerKind = 'json' | 'arrow' | 'explain' | 'analyze' | 'plan';

export type ToWorker =
  | { readonly kind: 'start'; readonly url: string; readonly socketPath: string; readonly memoryLimitBytes: number; readonly threads: number; readonly token?: string; readonly ticket: string }
  | { readonly kind: 'query'; readonly id: number; readonly sql: string; readonly pushdown: 'auto' | 'always' | 'never'; readonly answer: AnswerKind; readonly datasets?: readonly string[]; readonly tenant: number; readonly actor: number; readonly kernels?: readonly string[] }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'stop' };

const id = z.number().int();
export const fromWorkerSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('started'), id, contentType: z.string().max(200) }),
  z.object({ kind: z.literal('progress'), id, rows: z.number(), rowsScanned: z.number(), linkBytes: z.number(), morselsDevice: z.number(), morselsHost: z.number(), morselsTotal: z.number() }),
  z.object({
    kind: z.literal('done'), id, rows: z.number(), answerBytes: z.number(), bytesAvoided: z.number().min(0),
    decisions: z.array(z.object({ op: z.string().regex(/^[a-zA-Z]{1,20}$/), choice: z.enum(['push', 'host']), reason: z.enum(['scan', 'partial', 'unsupported', 'above']) })).max(1000),
    foretold: z.array(z.number().positive()).max(1000),
  }),
  z.object({
    kind: z.literal('failed'),
    id,
    error: z.object({ code: z.string().regex(/^MR_[A-Z0-9_]+$/), detail: z.string(), position: z.number().optional(), field: z.string().optional(), httpStatus: z.number().int().min(400).max(599).optional() }),
  }),
]);
export type FromWorker = z.output<typeof fromWorkerSchema>;
