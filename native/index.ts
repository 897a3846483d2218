// The typed face of the native addon. Everything the TypeScript side asks of C++ is listed here, and nothing else.
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EncodeColumn, EncodeLimits, NativeEncoder } from './encoder.js';
import { openDuckDBWith, type OpenDuckDB } from './duckdb.js';
import type { ModelConfig, ModelFields, SimulatedLatency, SimulationResult, Workload } from './model.js';

/** One association with a device: an admin ring (queue 0), I/O rings (1..) and a data region shared with the device. */
export interface NativeQueue {
  /** Data region: prp1 of an SQE is a byte offset in it, prp2 the length. Fixed for the life of the association. */
  readonly data: ArrayBuffer;
  /**
   * Copies `count` SQEs (64 B each, from the start of `sqes`) into the ring of `queueId` and rings once. cid is the caller's.
   * Returns how many fitted.
   */
  submit(queueId: number, sqes: Uint8Array, count: number): number;
  /** The host's side of a pair the device made by Create I/O Completion and Submission Queue; offsets of its rings in `data`. */
  addQueue(queueId: number, sqOffset: number, cqOffset: number, entries: number): void;
  /** Of a pair whose submission queue the device deleted; completions that are still there are lost, so poll() first. */
  removeQueue(queueId: number): void;
  /** Called on the event loop with `count` CQEs (16 B each) at the start of `cqes`; the array is reused after it returns. */
  onCompletion(callback: (cqes: Uint8Array, count: number) => void): void;
  /** Copies completions that are already there into cqes without waiting; returns the count. */
  poll(cqes: Uint8Array): number;
  /** Keeps the event loop alive while true (default while commands are outstanding: the wrapper decides). */
  ref(alive: boolean): void;
  /** The device closed or broke the association. */
  onClose(callback: (reason: string) => void): void;
  close(): void;
}

export interface DeviceConfig {
  /** Backing file of NVM namespace 1; created with capacityBytes if absent. */
  backingFile: string;
  capacityBytes: number;
  /** File of namespace 5 (keys and values), created if absent, and the bytes of keys and values it holds at most. Absent: no such namespace. */
  kvFile?: string;
  kvBytes?: number;
  /** Backing file of namespace 4, blocks that hosts may write; made sparse with rawBytes if absent. No path: no namespace 4. */
  rawFile?: string;
  rawBytes?: number;
  slmBytes: number;
  ioThreads: number;
  slots: number;
  /** Name of the NVM subsystem; with nvmeTcp. */
  nqn?: string;
  /**
   * Where NVMe/TCP hosts come in: a numeric address; port 0: any free one. advertised*: what the discovery log names instead of
   * the address a host came in on. hosts: those that have a secret; with it every host must prove who it is (onAuthentication).
   */
  nvmeTcp?: { address: string; port: number; advertisedAddress?: string; advertisedPort?: number; hosts?: readonly string[] };
  /** As if requireTickets(true) had been called before anybody could come; absent: false. */
  ticketsRequired?: boolean;
  /** Unix socket local clients attach to; mode 0600. Absent: no listener. */
  socketPath?: string;
  /** Path of the pinned Node binary, the slot script and the launcher. */
  slotNode: string;
  slotScript: string;
  slotLauncher: string;
  /** Memory of one program in a slot beside the SLM window; a module may declare half of it. With slmBytes below 4 GiB. */
  slotHeapBytesMax: number;
  morselDeadlineMs: number;
  /** Device memory of every tenant but the device's own (default: a quarter of slmBytes), made when the tenant first has work. */
  tenantSlmBytes?: number;
  /** Tenants beside the device's own that have device memory at a time, 0 to 16 (default 4); others wait until one has nothing to do. */
  tenantsResidentMax?: number;
  /** The modelled link to hosts; absent: none. bytesPerSecond 0: no rate limit. All transports share it. */
  link?: { bytesPerSecond: number; latencyNs: number };
  /** Modelled media and power; absent: as fast as the machine. The link is `link`. */
  model?: Pick<ModelConfig, 'media' | 'power'>;
  /** Time a modelled device core takes over time this machine's takes, 1 to 1000; absent or 1: no model. */
  coreFactor?: number;
}

/** Every cap is enforced by the device; exceeding one is a guest fault that ends that command only. */
export interface TenantCaps {
  /** Linear memory of one kernel beside its input window; a module may declare half of it. 1 MiB to slotHeapBytesMax. */
  readonly memoryBytes: number;
  /** Wall time of one morsel in a slot: the most a scan may ask for, and what it gets when it does not ask. */
  readonly deadlineMs: number;
  /** Wall time of compiling a module. */
  readonly compileMs: number;
  /** CPU time of one slot per wall time, percent of a core; 100: no cap. */
  readonly cpuPercent: number;
  /** Result bytes of one morsel. */
  readonly outputBytes: number;
  /** 64 KiB to 4 MiB; 0: V8's own (984 KiB). */
  readonly stackBytes: number;
  readonly moduleBytes: number;
}

export interface TenantConfig {
  /** 1 and up; 0 is the device's own tenant. */
  readonly id: number;
  readonly name: string;
  readonly caps: TenantCaps;
  /** SHA-256 (lower-case hex) of the kernels it may run; absent: any. */
  readonly kernels?: readonly string[];
}

/** One scan that ended, or was refused. */
export interface AuditRecord {
  readonly tenant: number;
  readonly actor: number;
  /** Handle of the dataset. */
  readonly dataset: number;
  /** SHA-256 of the kernel slots ran; absent: the host ran everything. */
  readonly kernel?: string;
  /** Of a kernel the daemon's side generated: SHA-256 of the users' modules in it; absent: the host brought the kernel. */
  readonly madeOf?: readonly string[];
  readonly morsels: number;
  readonly morselsDevice: number;
  /** GuestFault or Status of the first morsel that failed, 0: none did. */
  readonly fault: number;
  /** The kernel was not allowed to run. */
  readonly refused: boolean;
  readonly ms: number;
}

/** On whose behalf a host acts. */
export interface AttachRights {
  readonly tenant: number;
  readonly actor: number;
  /** Names of registerDataset it may read; absent: all. */
  readonly datasets?: readonly string[];
  /** Keys, values and raw blocks; absent: true. */
  readonly mayWrite?: boolean;
}

export interface NativeDevice {
  /** In-process association for the daemon itself: may write everywhere. */
  attach(options: { dataBytes: number; entries: number }): NativeQueue;
  /** A one-time ticket; who attaches with it may write the given block ranges of namespace 1 (ingest child). */
  grantTicket(writable: { slba: number; blocks: number }[]): string;
  /** Extends the writable ranges of a ticket already in use. */
  extendTicket(ticket: string, writable: { slba: number; blocks: number }[]): void;
  /**
   * No further write under the ticket begins. Resolves when none is in flight either: its blocks may be given to others
   * (the writer may have died with commands still queued).
   */
  revokeTicket(ticket: string): Promise<void>;
  /** Says who a tenant is, or that its caps changed. Throws MR_DEVICE_ARGUMENT naming the bound. */
  setTenant(tenant: TenantConfig): void;
  /** A one-time ticket to attach with on behalf of a tenant. actor: its principal, for the audit trail. */
  grantAttach(rights: AttachRights & { actsForOthers?: boolean }): string;
  /** Whether local clients need a ticket to attach, and NVMe/TCP hosts a secret to come in. */
  requireTickets(required: boolean): void;
  /** What ended since the last call; an 'audit' event says that there is something. lost: records there was no room for. */
  drainAudit(): { readonly records: readonly AuditRecord[]; readonly lost: number };
  /** DatasetHeader + ChunkRecords (native/wire/scan.def). name: for rights to read it. Throws on records outside the namespace. */
  registerDataset(layout: Uint8Array, name?: string): void;
  /** No new scans; resolves when the last reader's lease ended, SLM entries dropped: its blocks may be reused. */
  retireDataset(handle: number): Promise<void>;
  /**
   * Resolves when the modelled link has carried `bytes` to a host (at once where none is modelled). goesOn: more of a stream
   * whose latency was seen with its first part.
   */
  linkTransfer(bytes: number, goesOn: boolean): Promise<void>;
  /** Counters: commands by opcode and queue kind, bytes read/written, executes, faults, SLM use, slots (pid, state). */
  stats(): DeviceStats;
  onEvent(callback: (event: { kind: 'slotFault' | 'slotReplaced' | 'associationLost' | 'audit' | 'log'; detail: string }) => void): void;
  /**
   * Called with each Authentication Send of an NVMe/TCP host (DH-HMAC-CHAP): answerAuthentication() follows, with what its next
   * Authentication Receive gets. Without `message`: the connection is past it, or gone.
   */
  onAuthentication(callback: (event: AuthenticationEvent) => void): void;
  answerAuthentication(exchange: number, outcome: 'more' | 'proved' | 'failed', reply: Uint8Array, /** With proved, of an admin queue: what the host may do; absent: what the daemon's own user may. */ rights?: AttachRights): boolean;
  close(): Promise<void>;
}

export interface AuthenticationEvent {
  readonly connection: number;
  readonly exchange?: number;
  readonly host?: string;
  readonly subsystem?: string;
  readonly message?: Uint8Array;
}

export interface DeviceStats {
  /** By queue and command, e.g. "daemon/Read", "local/ScanOpen", "slot/Execute", "tcp/Write"; absent: none. */
  readonly commands: Readonly<Record<string, number>>;
  /** By command. counts[i]: those below 2^i ns that counts[i - 1] has not; the last also those above. Commands that complete on another thread or wait for others have none. */
  readonly commandDurations: Readonly<Record<string, { readonly counts: readonly number[]; readonly sumNs: number }>>;
  /** Commands submitted and not completed, by kind of queue, now. */
  readonly queueDepths: Readonly<Record<string, number>>;
  readonly mediaReadBytes: number;
  readonly mediaWrittenBytes: number;
  /** Bytes of chunks that kernels got where they lie, where the media is memory: nothing was read or copied for them. */
  readonly inPlaceBytes: number;
  /** Morsels run in slots. */
  readonly executes: number;
  /** Bytes that left to hosts: frames by ScanResult; row groups' column chunks by Read (dictionaries are not counted). */
  readonly resultBytes: number;
  readonly chunkBytes: number;
  readonly guestFaults: Readonly<Record<string, number>>;
  readonly slm: { readonly bytes: number; readonly residentBytes: number; readonly hits: number; readonly misses: number; readonly evictions: number; /** Chunks read into hot windows. */ readonly windowLoads: number };
  /** What holds slots to a share of a core on this machine: a cgroup's quota, or stopping and continuing (duty cycle). */
  readonly cpuShare: string;
  /** The same per tenant that has device memory now; the device's own first. */
  readonly slmByTenant: readonly { readonly tenant: string; readonly bytes: number; readonly residentBytes: number; readonly hits: number; readonly misses: number; readonly evictions: number; readonly windowLoads: number }[];
  /** Commands that passed their deadline: how long after it they had ended, because the slot obeyed or was killed. lastDueNs: the last such deadline, CLOCK_MONOTONIC. */
  readonly slotStops: { readonly asked: SimulatedLatency; readonly killed: SimulatedLatency; readonly lastDueNs: number };
  readonly slots: readonly { readonly id: number; readonly pid: number; readonly state: string; /** Whom it serves. */ readonly tenant: string; readonly executes: number; /** Parts of the jail in force in this process (native/jail/README.md), and those the machine does not allow. */ readonly jail: readonly string[]; readonly jailMissing: readonly string[] }[];
  /** SHA-256 (hex) of kernels that crashed several slots and are not run any more. */
  readonly quarantinedKernels: readonly string[];
  /** Bytes of keys and values in namespace 5, and how many fit; absent: the device has none. */
  readonly kv?: { readonly usedBytes: number; readonly capacityBytes: number };
  readonly scansOpen: number;
  readonly claimsOpen: number;
  /** States of streams that no slot has, in the daemon's memory now. */
  readonly checkpointBytes: number;
  readonly associations: number;
  /** Where NVMe/TCP hosts come in, and who is there; bytes over their connections, headers included. */
  readonly nvmeTcp?: { readonly address: string; readonly port: number; readonly nqn: string; readonly authentication: boolean; readonly hosts: number; readonly connections: number; readonly inBytes: number; readonly outBytes: number };
  /** What models say, where a profile has any: never mixed with what was measured. */
  readonly model?: {
    /** linkModelMs: time the pipe was busy. delayModelMs: from ready to arrived, summed over transfers. */
    readonly link?: { readonly bytesPerSecond: number; readonly latencyMs: number; readonly transfers: number; readonly bytes: number; readonly linkModelMs: number; readonly delayModelMs: number };
    /** Modelled latency of commands on media, from fetch to completion, link included. */
    readonly media?: { readonly reads: SimulatedLatency; readonly writes: SimulatedLatency; readonly flushes: SimulatedLatency; readonly writeAmplification: number };
    /** Measured: how long after its modelled time a completion was passed on. */
    readonly lateness?: SimulatedLatency;
    /** From rated power; link and memory are adjustable estimates beside it. */
    readonly energy?: { readonly seconds: number; readonly busySeconds: number; readonly idleModelJ: number; readonly activeModelJ: number; readonly linkModelJ: number; readonly memoryModelJ: number };
    /** cpuMs is measured: CPU time the slots used for Executes. coreModelMs: what the modelled cores took for it. */
    readonly core?: { readonly factor: number; readonly cpuMs: number; readonly coreModelMs: number };
  };
}

/** Rows in and out of DuckDB through libduckdb's C API. All calls run on a worker thread. */
export interface NativeDuckDB {
  /** One statement; rows come back as column buffers in the widest Arrow form DuckDB gives. */
  query(sql: string): Promise<DuckResult>;
  /**
   * Makes `name` a view over the batches; replaced if it exists. The buffers are not copied and must stay as they are until
   * dropTable, replacement or close. Their contents are checked (MR_TABLE_INVALID). Formats: c C s S i I l L f g b u U z Z,
   * d:P,S[,32|64|128] (bits of a stored value, 128 if left out), tdD tdm, ttu, ts[smun]:[zone].
   */
  registerTable(name: string, columns: readonly DuckColumn[], batches: readonly DuckBatch[]): Promise<void>;
  dropTable(name: string): Promise<void>;
  /**
   * A scalar function whose rows this thread computes, while statements run on theirs: `call` gets the arguments of one chunk (2,048 rows
   * at most) as buffers, per argument validity | null, [offsets], data, and gives one column of as many rows. What it throws ends the
   * statement with its message. Formats as registerTable; it stays as long as the engine, and its name must be free.
   */
  registerFunction(name: string, params: readonly string[], result: string, call: (rows: number, buffers: readonly (Uint8Array | null)[]) => DuckBatch): Promise<void>;
  /** Streams the rows of a query, in its order, into column chunks. On a connection of its own. */
  openEncoder(sql: string, columns: readonly EncodeColumn[], limits: EncodeLimits): Promise<NativeEncoder>;
  /** Ends every query asked for so far, running or waiting, with MR_SQL_INTERRUPTED; later ones are not meant. */
  interrupt(): void;
  /** What runs is interrupted, what waits and what comes is rejected with MR_SQL_CLOSED. */
  close(): void;
}
export interface DuckColumn { readonly name: string; /** Arrow C format string as DuckDB should see it, e.g. "d:15,2", "tdD", "u", "l" */ readonly format: string; readonly dictionary?: readonly string[] }
export interface DuckBatch { readonly rows: number; /** per column validity | null, [offsets], data, depth first */ readonly buffers: readonly (Uint8Array | null)[] }
export interface DuckResult { readonly columns: readonly DuckColumn[]; readonly batches: readonly DuckBatch[] }

export interface DuckDBConfig {
  /** Database file; absent: in memory. */
  path?: string;
  memoryLimitBytes: number;
  threads: number;
  /** enable_external_access=false; lock_configuration=true */
  locked: boolean;
  /** More DuckDB settings, given at open (a locked instance takes none later). Values as DuckDB's configuration wants them. */
  settings?: Readonly<Record<string, string>>;
  /** Files a locked instance may read all the same. */
  allowedPaths?: readonly string[];
}

export interface NativeAddon {
  openDevice(config: DeviceConfig): NativeDevice;
  /** Attaches to a device of this machine through its Unix socket. Throws MR_ATTACH_* errors. */
  attachDevice(socketPath: string, options: { ticket?: string; dataBytes: number; entries: number; /** Of the device's own side: its data does not cross a modelled link. */ besideDevice?: boolean }): NativeQueue;
  /**
   * Attaches and runs commands of one kind at a constant depth from C++, on the calling thread; nanoseconds for all. nsid 0:
   * Keep Alive, which moves nothing; else 4 KiB reads of random blocks below `blocks`.
   */
  queueLoadSync(socketPath: string, load: { depth: number; commands: number; nsid: number; blocks: number; seed: number }): number;
  /** Round trips of one entry over a bare ring between two threads that wait as clients and I/O threads do; nanoseconds for all. */
  ringPingPongSync(roundTrips: number): number;
  openDuckDB(config: DuckDBConfig): NativeDuckDB;
  /** The file's bytes out of the page cache. Ends the process when the file shrinks under it: for children only. MR_FILE_INVALID. */
  mapFile(fd: number): Uint8Array;
  crc32c(bytes: Uint8Array, seed?: number): number;
  /** Random reads of an NVMe/TCP target by the native initiator, `depth` at a time, on a thread of its own: to measure it. */
  nvmeTcpLoad(options: { address: string; port: number; nqn: string; nsid: number; depth: number; blocksPerRead: number; blocks: number; commands: number; seed: number; digests: boolean }): Promise<{ commands: number; elapsedNs: number; hash: bigint }>;
  /** Runs a workload on a device model in virtual time, on a worker thread. MR_DEVICE_CONFIG names what is wrong with either. */
  simulate(model: ModelConfig, workload: Workload): Promise<SimulationResult>;
  /** The numbers each kind of media, and power, takes. */
  modelFields(): ModelFields;
}

const here = dirname(fileURLToPath(import.meta.url));
/** The package root, from source (native/) and from the build (dist/native/) alike. */
export const packageRoot = existsSync(join(here, '../binding.gyp')) ? join(here, '..') : join(here, '../..');

let loaded: NativeAddon | undefined;
/** The addon, loaded once. Throws with one sentence when it was not built. */
export function native(): NativeAddon {
  if (!loaded) {
    const path = join(packageRoot, 'build/Release/millrace.node');
    if (!existsSync(path)) throw new Error(`The native addon is not built (${path} is missing): run npm run build:native`);
    const addon = createRequire(import.meta.url)(path) as Omit<NativeAddon, 'openDuckDB'> & { openDuckDB: OpenDuckDB };
    loaded = { ...addon, openDuckDB: (config) => openDuckDBWith(addon.openDuckDB, config) };
  }
  return loaded;
}
