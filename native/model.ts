// What the addon takes and gives for device models (native/core/model). Times in nanoseconds, rates in bytes per second.

export type MediaKind = 'flash' | 'units' | 'memory';
/** The numbers of one kind of media, named as native/core/model/settings.h lists them; absent: 0, which means without. */
export type MediaConfig = { readonly kind: MediaKind } & { readonly [name: string]: number | string };

export interface ModelConfig {
  /** Absent: media as fast as the machine. */
  readonly media?: MediaConfig;
  readonly link?: { readonly bytesPerSecond: number; readonly latencyNs: number };
  readonly power?: Readonly<Record<string, number>>;
}

export type ModelFields = Readonly<Record<MediaKind | 'power', readonly string[]>>;

/** A closed loop of `threads` x `depth` commands. */
export interface Workload {
  /** Share of reads, 0 to 1; default 1. */
  readonly readShare?: number;
  /** Of one command; default 4096. */
  readonly bytes?: number;
  /** halves: first halves of all lines of a region of spanBytes, then the second halves, then the next region. Default random. */
  readonly pattern?: 'random' | 'sequential' | 'halves';
  /** Absent: the whole capacity. */
  readonly spanBytes?: number;
  readonly threads?: number;
  readonly depth?: number;
  readonly count?: number;
  /** Commands before those that count. */
  readonly warmUp?: number;
  /** The same seed gives the same run, to the nanosecond. */
  readonly seed?: number;
  readonly fua?: boolean;
  /** Byte-addressable media: how a store gets there. Default nt. */
  readonly store?: 'nt' | 'flushed' | 'cached';
  /** Over the link to a host, or into the device's own memory. Default host. */
  readonly port?: 'host' | 'device';
  readonly capacityBytes?: number;
  /** Random 4 KiB writes before the run that take no time, in multiples of the capacity. */
  readonly precondition?: number;
}

export interface SimulatedLatency {
  readonly count: number;
  readonly meanNs: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
  readonly p999Ns: number;
  readonly p99999Ns: number;
  readonly maxNs: number;
}

/** All of it modelled, nothing measured. */
export interface SimulationResult {
  readonly reads: SimulatedLatency;
  readonly writes: SimulatedLatency;
  readonly virtualNs: number;
  readonly commandsPerSecond: number;
  readonly readBytesPerSecond: number;
  readonly writeBytesPerSecond: number;
  readonly writeAmplification: number;
  /** Of all completion times in their order: equal only for equal runs. */
  readonly digest: string;
  readonly seconds: number;
  readonly idleJ: number;
  readonly activeJ: number;
  /** Adjustable estimates, beside the device's energy and not part of it. */
  readonly linkJ: number;
  readonly memoryJ: number;
}
