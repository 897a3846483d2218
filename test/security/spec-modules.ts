// The modules the WebAssembly specification's own test scripts call invalid or malformed. Source and licence: scripts/spec-modules.mjs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../native/index.js';
import { ByteWriter } from '../../pushdown/wasm/encoder/byte-writer.js';
import { KernelFault } from '../../pushdown/runtime/kernel-fault.js';
import { ModuleReader } from '../../pushdown/runtime/module-reader.js';
import { kernelExports } from '../../pushdown/runtime/module-shape.js';

export interface SpecModule {
  /** Script and line. */
  readonly from: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export function specModules(): SpecModule[] {
  const lines = readFileSync(join(packageRoot, 'test/security/spec-modules.txt'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const [from, kind, base64] = line.split(' ');
    return { from: `${from} (${kind})`, bytes: Uint8Array.from(Buffer.from(base64 ?? '', 'base64')) };
  });
}

const sections = [1, 2, 3, 7, 10] as const;

/**
 * The module with what the ABI asks for put in behind what it has, so that its fault is the compiler's to find: the memory's
 * import, and the exports, each of which traps. Bytes that are no sequence of sections come back as they are.
 */
export function graftAbi({ from, bytes }: SpecModule): SpecModule {
  const parts = new Map<number, { id: number; count: number; body: Uint8Array }>();
  const order: { id: number; raw?: Uint8Array }[] = [];
  try {
    const reader = new ModuleReader(bytes, 8);
    while (!reader.done) {
      const start = reader.at;
      const id = reader.byte();
      const body = reader.part(reader.u32());
      const known = (sections as readonly number[]).includes(id) && !parts.has(id);
      if (known) parts.set(id, { id, count: body.u32(), body: bytes.subarray(body.at, body.end) });
      order.push(known ? { id } : { id, raw: bytes.subarray(start, reader.at) });
    }
  } catch (thrown) {
    if (!(thrown instanceof KernelFault)) throw thrown;
    return { from, bytes };
  }
  for (const id of sections) {
    if (parts.has(id)) continue;
    parts.set(id, { id, count: 0, body: new Uint8Array(0) });
    const at = order.findIndex((s) => s.id > id);
    order.splice(at < 0 ? order.length : at, 0, { id });
  }
  const types = parts.get(1)?.count ?? 0;
  const functions = parts.get(3)?.count ?? 0;
  const names = Object.entries(kernelExports);
  const added: Record<number, (w: ByteWriter) => void> = {
    1: (w) => { for (const [, [params, results]] of names) w.bytes([0x60, params, ...Array<number>(params).fill(0x7f), results, ...Array<number>(results).fill(0x7f)]); },
    2: (w) => { w.name('millrace'); w.name('memory'); w.bytes([2, 1, 1, 1]); },
    3: (w) => names.forEach((_, i) => { w.u32(types + i); }),
    7: (w) => names.forEach(([name], i) => { w.name(name); w.u8(0); w.u32(functions + i); }),
    10: (w) => { for (const _ of names) w.bytes([3, 0, 0, 0x0b]); },
  };
  const out = new ByteWriter();
  out.bytes(bytes.subarray(0, 8));
  for (const { id, raw } of order) {
    if (raw) { out.bytes(raw); continue; }
    const part = parts.get(id);
    const section = new ByteWriter();
    section.u32((part?.count ?? 0) + (id === 2 ? 1 : names.length));
    section.bytes(part?.body ?? []);
    added[id]?.(section);
    out.u8(id);
    out.sized(section);
  }
  return { from, bytes: out.copy() };
}
