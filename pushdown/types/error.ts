/** A caller's error: bad input, with a stable code and what to do about it. */
export class MillraceError extends Error {
  override readonly name = 'MillraceError';
  constructor(
    /** Stable, `MR_...`. */
    readonly code: string,
    /** What is wrong and what to do. */
    detail: string,
    readonly at: { readonly field?: string; readonly position?: number; readonly httpStatus?: number; readonly cause?: unknown } = {},
  ) {
    super(detail, at.cause === undefined ? undefined : { cause: at.cause });
  }
}

/** Our own bug, never the caller's. On in production. */
export function invariant(condition: unknown, text: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${text}`);
}
