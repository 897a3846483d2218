/** The link between a device and its hosts, as modelled. */
export interface LinkSetting {
  /** 0: no rate limit. */
  readonly bytesPerSecond: number;
  readonly latencyNs: number;
}

const rateUnits: Readonly<Record<string, number>> = {
  bit: 1 / 8, kbit: 1e3 / 8, mbit: 1e6 / 8, gbit: 1e9 / 8,
  'b/s': 1, 'kb/s': 1e3, 'mb/s': 1e6, 'gb/s': 1e9, 'kib/s': 2 ** 10, 'mib/s': 2 ** 20, 'gib/s': 2 ** 30,
};
const timeUnits: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9 };
const latencyNsMax = 10e9;

/**
 * `1Gbit,0.2ms`: rate and latency, either of them alone, in any order. Rates count bits (bit, kbit, Mbit, Gbit: per second,
 * powers of ten) or bytes (B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s). `none`: undefined. Throws RangeError with a sentence.
 */
export function parseLink(text: string): LinkSetting | undefined {
  if (text.trim() === 'none') return undefined;
  let bytesPerSecond: number | undefined;
  let latencyNs: number | undefined;
  for (const part of text.split(',')) {
    const match = /^\s*(\d+(?:\.\d+)?)\s*([a-zµ/]+)\s*$/i.exec(part);
    const value = Number(match?.[1]);
    const unit = match?.[2] ?? '';
    const rate = rateUnits[unit.toLowerCase()];
    const time = timeUnits[unit];
    if (rate !== undefined && bytesPerSecond === undefined) bytesPerSecond = Math.round(value * rate);
    else if (time !== undefined && latencyNs === undefined) latencyNs = Math.round(value * time);
    else throw new RangeError(`'${part.trim()}' is neither a rate nor a latency: write 1Gbit,0.2ms (rates: Mbit, Gbit, MB/s, GiB/s; latencies: ns, us, ms, s)`);
  }
  if (bytesPerSecond !== undefined && (bytesPerSecond < 1 || bytesPerSecond > Number.MAX_SAFE_INTEGER)) throw new RangeError('the rate must be at least one byte per second');
  if (latencyNs !== undefined && latencyNs > latencyNsMax) throw new RangeError('the latency must be at most 10s');
  return { bytesPerSecond: bytesPerSecond ?? 0, latencyNs: latencyNs ?? 0 };
}
