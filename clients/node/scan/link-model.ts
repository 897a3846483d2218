/** The link to hosts a daemon models (GET /v1/status, `model.link`). */
export interface ModelledLink {
  /** 0: no rate limit. */
  readonly bytesPerSecond: number;
  readonly latencyNs: number;
}

/** Milliseconds that link is busy with `bytes`, plus one latency: the least it takes them where nobody else uses it. */
export function linkModelMs({ bytesPerSecond, latencyNs }: ModelledLink, bytes: number): number {
  return (bytesPerSecond > 0 ? (bytes * 1e3) / bytesPerSecond : 0) + latencyNs / 1e6;
}
