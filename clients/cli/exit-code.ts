/** What the shell sees. */
export const exitCodes = { ok: 0, error: 1, usage: 2, connect: 3, device: 4, cancelled: 130 } as const;

// The device or a limit said no, as opposed to the query being wrong.
const device = /^MR_(KERNEL|DEVICE|PROGRAM|SCAN|ASSOCIATION|WORKER|TOO_MANY|MEDIA|CHECKSUM|REGION|LBA)(_|$)|^MR_(NO_SPACE|UPLOAD_TOO_LARGE|SQL_MEMORY|SQL_LIMIT|PLAN_LIMIT|QUERY_DEADLINE|STOPPING|WRITE_PROTECTED|DATASET_BUSY|DATASET_DAMAGED)$/;
const connecting = /^MR_(CONNECT|ATTACH\w*|LINK_BROKEN|API_VERSION|HTTP|LISTEN|UNAUTHORIZED)$/;
const usage = /^MR_(URL|CONFIG|USAGE)$/;

/** The exit code of an error with a stable code; anything else is 1. */
export function exitCodeOf(error: unknown): number {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (typeof code !== 'string') return exitCodes.error;
  if (code === 'MR_CANCELLED' || code === 'MR_ABORTED') return exitCodes.cancelled;
  if (connecting.test(code)) return exitCodes.connect;
  if (usage.test(code)) return exitCodes.usage;
  return device.test(code) ? exitCodes.device : exitCodes.error;
}
