import { section } from './module-check.js';
import { ModuleReader } from './module-reader.js';
import { kernelExports, type KernelExport, type ModuleShape } from './module-shape.js';

/** Under which name the runtime finds mutable global `index`. The kernel's own names are gone, so it cannot collide. */
export function globalExportName(index: number): string {
  return `g${index}`;
}

/**
 * The module as it is compiled: its exports are the ABI's functions and every mutable global, which is what a checkpoint needs
 * besides linear memory. Everything else a module exports, and its custom sections, stay out: nobody asks for them, and
 * an engine would make objects of them. Code, data and indices are untouched. `bytes` has passed checkModule.
 */
export function instrumentModule(bytes: Uint8Array, shape: ModuleShape): Uint8Array<ArrayBuffer> {
  const exports = exportSection(shape);
  const out = new Uint8Array(bytes.length + exports.length);
  out.set(bytes.subarray(0, 8));
  let to = 8;
  const put = (part: Uint8Array): void => {
    out.set(part, to);
    to += part.length;
  };
  const reader = new ModuleReader(bytes, 8);
  while (!reader.done) {
    const from = reader.at;
    const id = reader.byte();
    reader.part(reader.u32());
    if (id === section.custom) continue;
    put(id === section.export ? exports : bytes.subarray(from, reader.at));
  }
  return out.slice(0, to);
}

function exportSection(shape: ModuleShape): Uint8Array {
  const entries: number[] = leb(Object.keys(kernelExports).length + shape.mutableGlobals.length);
  const entry = (name: string, kind: number, index: number): void => {
    entries.push(name.length, ...Array.from(name, (c) => c.charCodeAt(0)), kind, ...leb(index));
  };
  for (const name of Object.keys(kernelExports) as KernelExport[]) entry(name, 0, shape.functions.get(name) as number);
  for (const { index } of shape.mutableGlobals) entry(globalExportName(index), 3, index);
  return Uint8Array.from([section.export, ...leb(entries.length), ...entries]);
}

function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}
