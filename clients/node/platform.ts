/** What Node does better than the web platform, with its stand-in for when a browser runs a scan's host side (clients/pages). */
const isNode = typeof Buffer !== 'undefined';

/** Fresh memory that its owner fills whole: not cleared first where that can be had. */
export function uncleared(bytes: number): Uint8Array<ArrayBuffer> {
  return isNode ? new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer as ArrayBuffer) : new Uint8Array(bytes);
}

/** Texts out of a buffer of UTF-8, by byte offsets. */
export function utf8Slices(bytes: Uint8Array): (from: number, to: number) => string {
  if (isNode) {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return (from, to) => text.toString('utf8', from, to);
  }
  // A byte order mark is a character of the value.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return (from, to) => decoder.decode(bytes.subarray(from, to));
}

/** Resolves after the events that wait now. */
export function eventTurn(): Promise<void> {
  return new Promise((resolve) => (isNode ? setImmediate(resolve) : setTimeout(resolve, 0)));
}

interface LoopUse { readonly idle: number; readonly active: number }
type NodePerformance = Performance & { eventLoopUtilization(since?: LoopUse): LoopUse };

/** How long this thread has been busy and idle since now, milliseconds; where nobody can tell it counts as idle. */
export function threadUse(): () => { readonly busyMs: number; readonly idleMs: number } {
  const from = performance.now();
  if (!isNode) return () => ({ busyMs: 0, idleMs: performance.now() - from });
  const node = performance as NodePerformance;
  const then = node.eventLoopUtilization();
  return () => {
    const { active, idle } = node.eventLoopUtilization(then);
    return { busyMs: active, idleMs: idle };
  };
}
