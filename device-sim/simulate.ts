import { native } from '../native/index.js';
import type { MediaConfig, ModelConfig, SimulationResult, Workload } from '../native/model.js';
import { valuesOf } from './figure.js';
import type { Point } from './point.js';
import type { DeviceProfile } from './profile.js';

/** What a profile says of media, link and power, as the model takes it. */
export function modelOf(profile: DeviceProfile, changed: Readonly<Record<string, number>> = {}): ModelConfig {
  const media: MediaConfig | undefined = profile.media && { kind: profile.media.kind, ...valuesOf(profile.media.figures), ...changed };
  return {
    ...(media ? { media } : {}),
    ...(profile.link ? { link: { bytesPerSecond: profile.link.bytesPerSecond, latencyNs: profile.link.latencyNs } } : {}),
    ...(profile.power ? { power: valuesOf(profile.power) } : {}),
  };
}

/** Runs a workload on a profile's model in virtual time. */
export async function simulate(profile: DeviceProfile, workload: Workload, changed: Readonly<Record<string, number>> = {}): Promise<SimulationResult> {
  const size = profile.simulatedBytes === undefined ? {} : { capacityBytes: profile.simulatedBytes };
  return await native().simulate(modelOf(profile, changed), { ...size, ...workload });
}

export function metricOf(metric: Point['metric'], r: SimulationResult): number {
  switch (metric) {
    case 'readLatencyUs': return r.reads.meanNs / 1e3;
    case 'writeLatencyUs': return r.writes.meanNs / 1e3;
    case 'writeP99999Us': return r.writes.p99999Ns / 1e3;
    case 'kIops': return r.commandsPerSecond / 1e3;
    case 'readGBs': return r.readBytesPerSecond / 1e9;
    case 'writeGBs': return r.writeBytesPerSecond / 1e9;
    case 'totalGBs': return (r.readBytesPerSecond + r.writeBytesPerSecond) / 1e9;
    case 'amplification': return r.writeAmplification;
    case 'ewr': return 1 / r.writeAmplification;
    case 'powerW': return r.seconds > 0 ? (r.idleJ + r.activeJ) / r.seconds : 0;
    default: throw new Error(`not a metric: ${metric satisfies never}`);
  }
}

export interface PointResult {
  readonly point: Point;
  readonly model: number;
  /** Model against published, as a share of the published; of a bound or range, by how much it is left. */
  readonly error: number;
}

/** Runs the workload of a published point. */
export async function runPoint(profile: DeviceProfile, point: Point): Promise<PointResult> {
  const model = metricOf(point.metric, await simulate(profile, { seed: 1, ...point.workload } as Workload, point.with));
  const high = point.to ?? point.value;
  const low = point.atMost ? 0 : point.value;
  const error = point.atMost || point.to !== undefined ? (model > high ? model / high - 1 : model < low ? model / low - 1 : 0) : model / point.value - 1;
  return { point, model, error };
}
