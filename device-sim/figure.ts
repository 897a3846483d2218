import { z } from 'zod';

/**
 * A number and where it is from. D: read in the primary source. X: in an excerpt. C: computed from D and X. S: second-hand.
 * fit: chosen so that the model meets the points marked `calibrates`. choice: ours, nobody published it.
 */
export const figureSchema = z.strictObject({
  value: z.number().min(0).max(Number.MAX_SAFE_INTEGER),
  how: z.enum(['D', 'X', 'C', 'S', 'fit', 'choice']),
  /** Of `sources`; what a computed or second-hand figure rests on too. */
  source: z.string().min(1).optional(),
  note: z.string().min(1).optional(),
}).refine((figure) => figure.how === 'fit' || figure.how === 'choice' || figure.source !== undefined, 'a published figure names its source');

export type Figure = z.output<typeof figureSchema>;

/** Figures by name, of these names only. */
export function figuresOf(names: readonly string[]) {
  return z.partialRecord(z.enum(names as [string, ...string[]]), figureSchema);
}

export function valuesOf(figures: Readonly<Partial<Record<string, Figure>>>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).flatMap(([name, figure]) => (figure ? [[name, figure.value]] : [])));
}
