import { readFileSync, writeFileSync } from 'node:fs';
import { Opcode } from '../../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../../pushdown/types/error.js';
import { writeOut } from '../output/write.js';
import type { NvmeDevice } from './open-device.js';

/** A number as nvme-cli takes it: decimal, or hexadecimal after 0x. Throws MR_USAGE naming the option. */
export function numberOption(text: string | undefined, name: string, most = 0xffffffff): number | undefined {
  if (text === undefined) return undefined;
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 0 && value <= most)) throw new MillraceError('MR_USAGE', `--${name} takes a number from 0 to ${most}, decimal or 0x..., not '${text}'.`, { field: name });
  return value;
}

/** The bytes of a file; `-` or nothing: of stdin. */
export function inputBytes(path: string | undefined): Uint8Array {
  try {
    return readFileSync(path === undefined || path === '-' ? 0 : path);
  } catch (cause) {
    throw new MillraceError('MR_FILE', `${path ?? 'stdin'} cannot be read (${(cause as NodeJS.ErrnoException).code ?? String(cause)}).`, { field: 'data', cause });
  }
}

/** To a file, or to stdout. */
export async function outputBytes(path: string | undefined, bytes: Uint8Array): Promise<void> {
  if (path === undefined || path === '-') return writeOut(bytes);
  try {
    writeFileSync(path, bytes);
  } catch (cause) {
    throw new MillraceError('MR_FILE', `${path} cannot be written (${(cause as NodeJS.ErrnoException).code ?? String(cause)}).`, { field: 'data', cause });
  }
}

export interface BlockSettings {
  readonly namespaceId?: string;
  readonly startBlock?: string;
  /** 0-based, as the command has it. */
  readonly blockCount?: string;
  readonly dataSize?: string;
  readonly data?: string;
  readonly forceUnitAccess?: boolean;
}

const blocksOf = (settings: BlockSettings) => {
  const slba = numberOption(settings.startBlock, 'start-block', Number.MAX_SAFE_INTEGER) ?? 0;
  const nlb = numberOption(settings.blockCount, 'block-count', 0xffff) ?? 0;
  return { nsid: numberOption(settings.namespaceId, 'namespace-id') ?? 1, cdw10: slba % 2 ** 32, cdw11: Math.floor(slba / 2 ** 32), cdw12: (nlb | (settings.forceUnitAccess ? 1 << 30 : 0)) >>> 0 };
};

export async function read(device: NvmeDevice, settings: BlockSettings): Promise<void> {
  const bytes = needed(numberOption(settings.dataSize, 'data-size'), 'data-size');
  const { data } = await device.run('io', { opc: Opcode.Read, ...blocksOf(settings) }, 'Read', undefined, bytes);
  await outputBytes(settings.data, data);
}

export async function write(device: NvmeDevice, settings: BlockSettings): Promise<string> {
  const bytes = needed(numberOption(settings.dataSize, 'data-size'), 'data-size');
  const input = inputBytes(settings.data);
  if (input.byteLength < bytes) throw new MillraceError('MR_USAGE', `--data has ${input.byteLength} bytes, --data-size says ${bytes}.`, { field: 'data-size' });
  await device.run('io', { opc: Opcode.Write, ...blocksOf(settings) }, 'Write', input.subarray(0, bytes));
  return 'write: Success\n';
}

function needed(value: number | undefined, name: string): number {
  if (value === undefined) throw new MillraceError('MR_USAGE', `--${name} is needed.`, { field: name });
  return value;
}

/** Options of passthrough commands, one per field of the entry. */
export type PassthruSettings = { readonly [name in 'opcode' | 'namespaceId' | 'cdw2' | 'cdw3' | 'cdw10' | 'cdw11' | 'cdw12' | 'cdw13' | 'cdw14' | 'cdw15' | 'dataLen' | 'inputFile']?: string } & {
  readonly read?: boolean;
  readonly write?: boolean;
  readonly rawBinary?: boolean;
};

/** Any command. Without --read or --write bit 0 (to the device) and bit 1 (to the host) of the opcode say where data goes, as on an NVMe link. */
export async function passthru(device: NvmeDevice, which: 'admin' | 'io', s: PassthruSettings, format: 'normal' | 'json'): Promise<void> {
  const dword = (name: 'cdw2' | 'cdw3' | 'cdw10' | 'cdw11' | 'cdw12' | 'cdw13' | 'cdw14' | 'cdw15') => numberOption(s[name], name) ?? 0;
  const opc = needed(numberOption(s.opcode, 'opcode', 0xff), 'opcode');
  const bytes = numberOption(s.dataLen, 'data-len') ?? 0;
  const toDevice = s.write ?? (s.read ? false : (opc & 1) !== 0);
  const toHost = s.read ?? (s.write ? false : (opc & 2) !== 0);
  let input: Uint8Array | undefined;
  if (bytes > 0 && toDevice) {
    input = new Uint8Array(bytes);
    input.set(inputBytes(s.inputFile).subarray(0, bytes));
  }
  const fields = {
    opc, nsid: numberOption(s.namespaceId, 'namespace-id') ?? 0, cdw2: dword('cdw2'), cdw3: dword('cdw3'), cdw10: dword('cdw10'), cdw11: dword('cdw11'), cdw12: dword('cdw12'), cdw13: dword('cdw13'), cdw14: dword('cdw14'), cdw15: dword('cdw15'),
  };
  const { dw0, data } = await device.run(which, fields, `Opcode 0x${opc.toString(16)}`, input, toHost && !input ? bytes : 0);
  if (s.rawBinary) return writeOut(data);
  const word = dw0.toString(16).padStart(8, '0');
  if (format === 'json') return writeOut(`${JSON.stringify({ result: dw0, data: Buffer.from(data).toString('hex') })}\n`);
  await writeOut(`NVMe command result:${word}\n${hexDump(data)}`);
}

/** 16 bytes a line, offset before, text behind. */
export function hexDump(data: Uint8Array): string {
  let text = data.length === 0 ? '' : `       0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f\n`;
  for (let at = 0; at < data.length; at += 16) {
    const row = data.subarray(at, at + 16);
    const bytes = [...row].map((b) => b.toString(16).padStart(2, '0')).join(' ');
    const ascii = [...row].map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('');
    text += `${at.toString(16).padStart(4, '0')}: ${bytes.padEnd(47)} "${ascii}"\n`;
  }
  return text;
}
