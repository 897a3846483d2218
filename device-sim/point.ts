import { z } from 'zod';

const whole = (max: number) => z.number().int().min(1).max(max);

/** What the simulator runs (native/model.ts, Workload). */
export const workloadSchema = z.strictObject({
  readShare: z.number().min(0).max(1).optional(),
  bytes: whole(2 ** 30).optional(),
  pattern: z.enum(['random', 'sequential', 'halves']).optional(),
  spanBytes: whole(2 ** 44).optional(),
  threads: whole(256).optional(),
  depth: whole(65536).optional(),
  count: whole(2 ** 32).optional(),
  warmUp: whole(2 ** 32).optional(),
  seed: whole(Number.MAX_SAFE_INTEGER).optional(),
  fua: z.boolean().optional(),
  store: z.enum(['nt', 'flushed', 'cached']).optional(),
  port: z.enum(['host', 'device']).optional(),
  capacityBytes: whole(2 ** 44).optional(),
  precondition: z.number().min(0).max(100).optional(),
});

export const metrics = ['readLatencyUs', 'writeLatencyUs', 'writeP99999Us', 'kIops', 'readGBs', 'writeGBs', 'totalGBs', 'amplification', 'ewr', 'powerW'] as const;

/** A published figure, the workload that asks the model for it, and what it was used for. */
export const pointSchema = z.strictObject({
  what: z.string().min(1),
  metric: z.enum(metrics),
  /** Published; where `atMost`, a bound; where `to`, the low end of a range. */
  value: z.number().positive(),
  to: z.number().positive().optional(),
  atMost: z.boolean().optional(),
  source: z.string().min(1),
  /** D: read in the primary source. X: in an excerpt. C: computed. S: second-hand. */
  how: z.enum(['D', 'X', 'C', 'S']),
  /** calibrates: figures of the model were fitted to it. heldOut: it was not looked at while fitting. printed: shown, asserted nowhere. */
  role: z.enum(['calibrates', 'heldOut', 'printed']),
  workload: workloadSchema,
  /** Figures of the model changed for this point alone, e.g. more over-provisioning. */
  with: z.record(z.string(), z.number()).optional(),
  note: z.string().min(1).optional(),
});

export type Point = z.output<typeof pointSchema>;
