import type { MetricObject, Registry } from 'prom-client';

interface Labelled {
  readonly labels: Readonly<Record<string, string>>;
  /** counts[i]: durations below 2^i ns that counts[i - 1] has not. */
  readonly counts: readonly number[];
  readonly sumNs: number;
}

/** 2^10 ns is about a microsecond: nothing is told apart below it. */
const firstPower = 10;

/** A histogram counted elsewhere by powers of two of nanoseconds, shown in seconds. */
export function registerDurations(registry: Registry, name: string, help: string, read: () => readonly Labelled[]): void {
  const metric = {
    name,
    get: async () => ({
      name, help, type: 'histogram', aggregator: 'sum',
      values: read().flatMap(({ labels, counts, sumNs }) => {
        let below = counts.slice(0, firstPower).reduce((sum, n) => sum + n, 0);
        const all = counts.reduce((sum, n) => sum + n, 0);
        const buckets = counts.slice(firstPower, -1).map((n, i) => ({ metricName: `${name}_bucket`, labels: { ...labels, le: (2 ** (firstPower + i)) / 1e9 }, value: (below += n) }));
        return [...buckets, { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: all }, { metricName: `${name}_sum`, labels, value: sumNs / 1e9 }, { metricName: `${name}_count`, labels, value: all }];
      }),
    }) as unknown as Promise<MetricObject>,
    reset: () => undefined,
  };
  // prom-client has no way to hand it counts taken elsewhere; all it asks of a metric is a name and get().
  registry.registerMetric(metric as unknown as Parameters<Registry['registerMetric']>[0]);
}
