import type { DaemonStatus } from './status-view.js';

/** Answers kept: two minutes at one a second. */
const keptMax = 120;

export interface Rates {
  /** Bytes per second that left over HTTP sockets and over local queues (frames and chunks), together. */
  readonly linkBytes: number;
  readonly executes: number;
  /** 0..1 of each core. */
  readonly cores: readonly number[];
  /** Commands per second by queue and command. */
  readonly commands: Readonly<Record<string, number>>;
}

/** Rates between successive status answers, oldest first. */
export class RateHistory {
  #last: { readonly atMs: number; readonly status: DaemonStatus } | undefined;
  readonly rates: Rates[] = [];

  /** `atMs`: of a clock that only goes forward. A daemon that was started anew begins anew. */
  add(atMs: number, status: DaemonStatus): void {
    const last = this.#last;
    this.#last = { atMs, status };
    if (!last || last.status.pid !== status.pid || atMs <= last.atMs) return;
    this.rates.push(ratesBetween(last.status, status, (atMs - last.atMs) / 1000));
    if (this.rates.length > keptMax) this.rates.shift();
  }

  get latest(): Rates | undefined {
    return this.rates.at(-1);
  }
}

const linkBytesOf = ({ link, device }: DaemonStatus): number => link.socketOutBytes + Math.max(0, device.resultBytes + device.chunkBytes - link.frameBytes);

function ratesBetween(before: DaemonStatus, after: DaemonStatus, seconds: number): Rates {
  return {
    linkBytes: Math.max(0, linkBytesOf(after) - linkBytesOf(before)) / seconds,
    executes: Math.max(0, after.device.executes - before.device.executes) / seconds,
    cores: after.cores.map(({ busyMs, idleMs }, i) => {
      const busy = busyMs - (before.cores[i]?.busyMs ?? 0);
      const all = busy + idleMs - (before.cores[i]?.idleMs ?? 0);
      return all > 0 ? Math.min(1, Math.max(0, busy / all)) : 0;
    }),
    commands: Object.fromEntries(Object.entries(after.device.commands).map(([name, count]) => [name, Math.max(0, count - (before.device.commands[name] ?? 0)) / seconds])),
  };
}
