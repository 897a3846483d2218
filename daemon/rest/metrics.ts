import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { NativeDevice } from '../../native/index.js';
import type { DatasetStore } from '../datasets/store.js';
import type { ScanRegistry } from '../queue/scan-registry.js';
import type { Job } from './job-registry.js';
import type { LinkCounter } from './link-counter.js';
import { registerDurations } from './duration-histogram.js';
import type { Verdict } from './query-worker.js';
import type { QueryWorkerPool } from './query-worker-pool.js';

export interface MetricSources {
  readonly device: NativeDevice;
  readonly datasets: DatasetStore;
  readonly scans: ScanRegistry;
  readonly workers: QueryWorkerPool;
  readonly link: LinkCounter;
}

const seconds = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/** What /metrics shows, in Prometheus' words: base units, `millrace_` first. Device counters are read when asked for. */
export class Metrics {
  readonly registry = new Registry();
  readonly #requests: Counter<'route' | 'method' | 'code'>;
  readonly #durations: Histogram<'route'>;
  readonly #jobs: Counter<'kind' | 'outcome'>;
  readonly #jobDurations: Histogram<'kind'>;
  readonly #morsels: Counter<'place'>;
  readonly #scanRows: Counter<'stage'>;
  readonly #avoided: Counter;
  readonly #decisions: Counter<'op' | 'choice' | 'reason'>;
  readonly #foretold: Histogram;

  constructor(sources: MetricSources) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry, prefix: 'millrace_' });
    this.#requests = new Counter({ name: 'millrace_requests_total', help: 'Requests answered. code aborted: the client left first.', labelNames: ['route', 'method', 'code'], registers });
    this.#durations = new Histogram({ name: 'millrace_request_duration_seconds', help: 'From the head of a request to the end of its answer.', labelNames: ['route'], buckets: seconds, registers });
    this.#jobs = new Counter({ name: 'millrace_jobs_total', help: 'Queries and uploads ended.', labelNames: ['kind', 'outcome'], registers });
    this.#jobDurations = new Histogram({ name: 'millrace_job_duration_seconds', help: 'Queries and uploads, waiting included.', labelNames: ['kind'], buckets: seconds, registers });
    this.#morsels = new Counter({ name: 'millrace_query_morsels_total', help: 'Row groups of POST /v1/sql queries, by where their kernel ran.', labelNames: ['place'], registers });
    this.#scanRows = new Counter({ name: 'millrace_scan_rows_total', help: 'Rows of POST /v1/sql queries: scanned, and in the answer.', labelNames: ['stage'], registers });
    this.#avoided = new Counter({ name: 'millrace_bytes_avoided_total', help: 'Column chunks that pulling would have moved for POST /v1/sql queries, beyond what crossed the link.', registers });
    this.#decisions = new Counter({ name: 'millrace_pushdown_decisions_total', help: 'Operators of POST /v1/sql queries: pushed into the scan (reason scan, partial) or left to the host (unsupported by kernels, above an operator that ends the scan).', labelNames: ['op', 'choice', 'reason'], registers });
    this.#foretold = new Histogram({ name: 'millrace_cost_model_error_ratio', help: 'Time a scan of POST /v1/sql was foretold to take from its first morsels, over the time it took: 1 is right.', buckets: [0.25, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 4], registers });
    sources.workers.verdicts.on('verdict', (verdict) => this.#queryEnded(verdict));
    this.#onScrape(sources);
  }

  #queryEnded({ bytesAvoided, decisions, foretold }: Verdict): void {
    this.#avoided.inc(bytesAvoided);
    for (const decision of decisions) this.#decisions.inc(decision);
    for (const ratio of foretold) this.#foretold.observe(ratio);
  }

  requestEnded(route: string, method: string, code: string, durationSeconds: number): void {
    this.#requests.inc({ route, method, code });
    this.#durations.observe({ route }, durationSeconds);
  }

  jobEnded(job: Job): void {
    this.#jobs.inc({ kind: job.kind, outcome: job.state });
    this.#jobDurations.observe({ kind: job.kind }, job.durationMs / 1000);
    if (job.kind !== 'query') return;
    const { rows = 0, rowsScanned = 0, morselsDevice = 0, morselsHost = 0 } = job.progress;
    this.#morsels.inc({ place: 'device' }, morselsDevice);
    this.#morsels.inc({ place: 'host' }, morselsHost);
    this.#scanRows.inc({ stage: 'scanned' }, rowsScanned);
    this.#scanRows.inc({ stage: 'answered' }, rows);
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }

  /** Counters that live elsewhere are set to what they are, gauges too. */
  #onScrape({ device, datasets, scans, workers, link }: MetricSources): void {
    const registers = [this.registry];
    const counter = (name: string, help: string, read: () => number) =>
      new Counter({ name, help, registers, collect() { this.reset(); this.inc(read()); } });
    const gauge = (name: string, help: string, read: () => number) => new Gauge({ name, help, registers, collect() { this.set(read()); } });
    const stats = () => device.stats();
    counter('millrace_device_read_bytes_total', 'Bytes read from the media.', () => stats().mediaReadBytes);
    counter('millrace_device_written_bytes_total', 'Bytes written to the media.', () => stats().mediaWrittenBytes);
    counter('millrace_executes_total', 'Morsels run in slots.', () => stats().executes);
    counter('millrace_result_bytes_total', 'Frames that left the device for hosts.', () => stats().resultBytes);
    counter('millrace_chunk_bytes_total', 'Column chunks that left the device for hosts.', () => stats().chunkBytes);
    counter('millrace_link_sent_bytes_total', 'Bytes sent on HTTP sockets.', () => link.totals.socketOutBytes);
    counter('millrace_link_received_bytes_total', 'Bytes received on HTTP sockets.', () => link.totals.socketInBytes);
    gauge('millrace_connections', 'Open HTTP connections.', () => link.totals.connections);
    gauge('millrace_scans_open', 'Open scans of all hosts.', () => stats().scansOpen);
    gauge('millrace_rest_scans_open', 'Open scans of REST clients.', () => scans.size);
    gauge('millrace_claims_open', 'Morsels hosts claimed and have not finished.', () => stats().claimsOpen);
    gauge('millrace_checkpoint_bytes', 'States of streams that no slot has, in memory.', () => stats().checkpointBytes);
    gauge('millrace_associations', 'Hosts attached to the device.', () => stats().associations);
    gauge('millrace_slm_bytes', 'Device memory.', () => stats().slm.bytes);
    gauge('millrace_slm_resident_bytes', 'Device memory that holds resident chunks.', () => stats().slm.residentBytes);
    gauge('millrace_datasets', 'Published datasets.', () => datasets.list().length);
    gauge('millrace_namespace_bytes', 'Size of the namespace.', () => datasets.usage.capacityBytes);
    gauge('millrace_namespace_free_bytes', 'Bytes of it that are free.', () => datasets.usage.freeBytes);
    new Counter({ name: 'millrace_slm_chunks_total', help: 'Chunks asked of device memory.', labelNames: ['outcome'], registers, collect() {
      const { hits, misses, evictions } = stats().slm;
      this.reset();
      for (const [outcome, n] of Object.entries({ hit: hits, miss: misses, eviction: evictions })) this.inc({ outcome }, n);
    } });
    new Counter({ name: 'millrace_commands_total', help: 'Commands completed, by queue and opcode.', labelNames: ['queue', 'opcode'], registers, collect() {
      this.reset();
      for (const [name, n] of Object.entries(stats().commands)) {
        const [queue = '', opcode = ''] = name.split('/');
        this.inc({ queue, opcode }, n);
      }
    } });
    registerDurations(this.registry, 'millrace_command_duration_seconds', 'Commands from fetch to completion by the device, in slots from submission to completion. Commands that complete on another thread or wait for others (Flush, ScanResult, Key Value) are not among them.', () =>
      Object.entries(stats().commandDurations).map(([opcode, durations]) => ({ labels: { opcode }, ...durations })));
    new Gauge({ name: 'millrace_queue_depth', help: 'Commands fetched and not completed (slots: submitted), by kind of queue.', labelNames: ['queue'], registers, collect() {
      this.reset();
      for (const [queue, n] of Object.entries(stats().queueDepths)) this.set({ queue }, n);
    } });
    new Counter({ name: 'millrace_kernel_faults_total', help: 'Kernels ended by a guest fault.', labelNames: ['kind'], registers, collect() {
      this.reset();
      for (const [kind, n] of Object.entries(stats().guestFaults)) this.inc({ kind }, n);
    } });
    new Counter({ name: 'millrace_slot_stops_total', help: 'Commands in slots that passed their deadline, by what ended them.', labelNames: ['by'], registers, collect() {
      const { asked, killed } = stats().slotStops;
      this.reset();
      this.inc({ by: 'request' }, asked.count);
      this.inc({ by: 'kill' }, killed.count);
    } });
    new Gauge({ name: 'millrace_slots', help: 'Slot processes by state.', labelNames: ['state'], registers, collect() {
      this.reset();
      for (const { state } of stats().slots) this.inc({ state });
    } });
    new Gauge({ name: 'millrace_query_workers', help: 'Query workers by state.', labelNames: ['state'], registers, collect() {
      this.reset();
      for (const { state } of workers.status()) this.inc({ state });
    } });
  }
}
