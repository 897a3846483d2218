import { parseArgs } from 'node:util';
import { z } from 'zod';
import { parseLink } from '../device-sim/link-setting.js';
import { MillraceError } from '../pushdown/types/error.js';
import { profileDefaults, profileOf } from './device-model.js';
import { parseEndpoint } from './nvme-tcp/endpoint.js';
import { readSecretFile } from './nvme-tcp/secret-file.js';
import { capSchemas } from './tenants/tenant-file.js';
import { readTokenFile, tokenFilePath } from './rest/access/token-file.js';

const mib = 1 << 20;
const bytes = (min: number) => z.coerce.number().int().min(min).max(Number.MAX_SAFE_INTEGER);

/** Everything the daemon can be told, with its bounds. `--slm-bytes 1073741824` on the command line is slmBytes here. */
export const daemonConfigSchema = z.strictObject({
  /** Holds backing file, catalog, uploads and the device socket. */
  dir: z.string().min(1),
  host: z.string().min(1).default('127.0.0.1'),
  /** 0: any free port. */
  port: z.coerce.number().int().min(0).max(65535).default(4433),
  /** The operator's bearer token. Any bind address but loopback requires it or tokens by `millrace token add`. */
  token: z.string().min(16).optional(),
  /** Size of namespace 1; the backing file is sparse. */
  capacityBytes: bytes(16 * mib).default(64 * 1024 * mib),
  /** Bytes of keys and values that namespace 5 holds at most. */
  kvBytes: bytes(mib).max(2 ** 46).default(1024 * mib),
  /** Size of namespace 4, blocks that hosts may write (mkfs over NVMe); its file is sparse and keeps the size it was made with. 0: no such namespace. */
  rawBytes: bytes(0).default(1024 * mib),
  /** Device memory: hot windows and resident chunks. */
  slmBytes: bytes(64 * mib).default(512 * mib),
  slots: z.coerce.number().int().min(1).max(64).default(2),
  ioThreads: z.coerce.number().int().min(1).max(16).default(2),
  slotHeapBytesMax: bytes(16 * mib).default(256 * mib),
  /** Wall deadline of one morsel in a slot, where a scan does not name its own. */
  morselDeadlineMs: z.coerce.number().int().min(10).max(600_000).default(10_000),
  /** Device memory of each tenant that has work on the device, so many tenants at a time. Default: a quarter of slmBytes. */
  tenantSlmBytes: bytes(16 * mib).optional(),
  tenantsResidentMax: z.coerce.number().int().min(0).max(16).default(4),
  /** Caps of tenants nothing else is set for (millrace tenant set). Default: slotHeapBytesMax. */
  tenantMemoryBytes: capSchemas.memoryBytes.optional(),
  tenantDeadlineMs: capSchemas.deadlineMs.default(60_000),
  tenantCompileMs: capSchemas.compileMs.default(10_000),
  tenantCpuPercent: capSchemas.cpuPercent.default(100),
  tenantOutputBytes: capSchemas.outputBytes.default(1024 * mib),
  tenantStackBytes: capSchemas.stackBytes.default(0),
  tenantModuleBytes: capSchemas.moduleBytes.default(4 * mib),
  /** A scan nobody asked anything of for this long is closed and its lease ends. */
  scanIdleMs: z.coerce.number().int().min(1000).max(3_600_000).default(30_000),
  /** Rows of a row group of what is loaded from now on: the unit of zone maps and of scheduling. */
  rowGroupRows: z.coerce.number().int().min(1).max(1 << 20).default(131_072),
  /** Open connections; more are not accepted. */
  connectionsMax: z.coerce.number().int().min(8).max(65_536).default(1024),
  /** Requests under way at a time; more get MR_TOO_MANY_REQUESTS. */
  requestsMax: z.coerce.number().int().min(4).max(65_536).default(512),
  /** A connection over which nothing moves for this long is closed, what ran for it is cancelled. */
  connectionIdleMs: z.coerce.number().int().min(1000).max(3_600_000).default(600_000),
  uploadBytesMax: bytes(mib).default(64 * 1024 * mib),
  /** Query workers behind POST /v1/sql: one query each at a time. */
  queryWorkers: z.coerce.number().int().min(1).max(16).default(1),
  queryDeadlineMs: z.coerce.number().int().min(100).max(3_600_000).default(300_000),
  queryMemoryBytes: bytes(64 * mib).default(1024 * mib),
  /** What the device models: a name of device-sim/profiles, or a file. `local`: nothing. Gives slots, slmBytes and coreFactor where they are not set. */
  profile: z.string().min(1).default('local'),
  /** Rate and latency of the link to hosts, e.g. `1Gbit,0.2ms`; before the profile's. `none`: no link model. */
  link: z.string().superRefine(checkLink).optional(),
  /** Time a device core takes over time this machine's takes; 1: no model. */
  coreFactor: z.coerce.number().min(1).max(1000).default(1),
  /** Where NVMe/TCP hosts come in, e.g. `127.0.0.1:4420`; port 0: any free one. Any address but loopback requires nvmeTcpSecretFile. */
  nvmeTcp: z.string().superRefine(checkEndpoint).optional(),
  /** Name of the NVM subsystem. */
  nvmeNqn: z.string().regex(/^nqn\.[\x21-\x7e]{1,219}$/, 'an NVMe qualified name: nqn. and at most 219 more characters').default('nqn.2026-11.dev.millrace:device0'),
  /** Address, and port, that discovery names instead of those a host came in on. */
  nvmeTcpAdvertise: z.string().superRefine(checkAdvertised).optional(),
  /** Hosts that may come in and the secrets they prove it by (DH-HMAC-CHAP). */
  nvmeTcpSecretFile: z.string().min(1).optional(),
  /** Diffie-Hellman group of that proof, where the host offers it. */
  nvmeTcpDhGroup: z.enum(['null', 'ffdhe2048', 'ffdhe3072', 'ffdhe4096', 'ffdhe6144', 'ffdhe8192']).default('ffdhe2048'),
  logLevel: z.enum(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
});

export type DaemonConfig = z.output<typeof daemonConfigSchema>;
export type DaemonConfigInput = z.input<typeof daemonConfigSchema>;

/** Checks a configuration. Throws MR_CONFIG naming the field. */
export function readConfig(input: unknown): DaemonConfig {
  const parsed = daemonConfigSchema.safeParse(withProfile(input));
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!; // a failed parse has at least one
    const field = issue.path.join('.') || (issue.code === 'unrecognized_keys' ? issue.keys.join(', ') : '');
    const text = issue.code === 'invalid_type' && issue.expected === 'number' ? 'this is no number' : issue.message;
    throw new MillraceError('MR_CONFIG', `${field}: ${text}.`, { field, cause: parsed.error });
  }
  if (!isLoopback(parsed.data.host) && !parsed.data.token && readTokenFile(tokenFilePath(parsed.data.dir)).length === 0)
    throw new MillraceError('MR_CONFIG', `host: ${parsed.data.host} is not a loopback address, so a token is needed: millrace token add NAME --tenant T --dir ${parsed.data.dir}, or --token of 16 characters or more.`, { field: 'host' });
  const { nvmeTcp, nvmeTcpSecretFile } = parsed.data;
  if (nvmeTcpSecretFile) readSecretFile(nvmeTcpSecretFile);
  else if (nvmeTcp && !isLoopback(parseEndpoint(nvmeTcp).address))
    throw new MillraceError('MR_CONFIG', `nvmeTcp: ${nvmeTcp} is not a loopback address, so hosts must prove who they are: --nvme-tcp-secret-file with a line HOST-NQN SECRET for each.`, { field: 'nvmeTcp' });
  return parsed.data;
}

/** A profile's values are defaults; whatever else is wrong with the input is for the schema to say. */
function withProfile(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input;
  const { profile } = input as { profile?: unknown };
  return typeof profile === 'string' && profile !== '' ? { ...profileDefaults(profileOf(profile)), ...input } : input;
}

function checkAdvertised(text: string, context: z.RefinementCtx): void {
  checkEndpoint(text.replace(/^([^:]+)$/, '$1:0'), context); // the port may be left out
}

function checkEndpoint(text: string, context: z.RefinementCtx): void {
  try {
    parseEndpoint(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
  }
}

function checkLink(text: string, context: z.RefinementCtx): void {
  try {
    parseLink(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
  }
}

/** Command line to configuration: every option is a field's name in kebab case. */
export function configOfArguments(args: readonly string[]): DaemonConfig {
  const names = Object.keys(daemonConfigSchema.shape);
  const options = Object.fromEntries(names.map((name) => [kebab(name), { type: 'string' as const }]));
  let values: Record<string, unknown>;
  try {
    ({ values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false }));
  } catch (cause) {
    throw new MillraceError('MR_CONFIG', cause instanceof Error ? cause.message : String(cause), { cause });
  }
  return readConfig(Object.fromEntries(names.filter((name) => values[kebab(name)] !== undefined).map((name) => [name, values[kebab(name)]])));
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
