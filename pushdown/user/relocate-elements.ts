import { ModuleReader, reject } from '../runtime/module-reader.js';
import { moduleLimits } from '../runtime/module-shape.js';
import type { BaseModule } from '../wasm/encoder/base-module.js';
import { ByteWriter } from '../wasm/encoder/byte-writer.js';

/**
 * The active segments of a module's table as they must read behind another's entries. Passive and declared ones are left out: no
 * instruction that the ABI allows uses them. Throws KernelFault(ModuleRejected), also where a segment reaches past the module's entries:
 * by itself the engine refuses that, here it would be another module's entry.
 */
export function relocateElements(elements: BaseModule['elements'], entries: number, places: { readonly table: number; readonly functions: number }): BaseModule['elements'] {
  const section = new ModuleReader(elements.bytes);
  const out = new ByteWriter();
  let count = 0;
  for (let left = elements.count; left > 0; left--) {
    const flags = section.u32();
    if (flags > 7) reject('unknown flags of an element segment');
    const active = (flags & 1) === 0;
    if (active && (flags & 2) !== 0 && section.u32() !== 0) reject('only table 0 is there');
    const offset = active ? constant(section) : 0;
    // A kind or type stands wherever the flags say more than the simplest form.
    if ((flags & 3) !== 0 && section.byte() !== ((flags & 4) !== 0 ? 0x70 : 0x00)) reject('only functions are elements');
    const functions = list(section, (flags & 4) !== 0);
    if (!active) continue;
    if (offset + functions.length > entries) reject('an element segment reaches past its table');
    // Each as its own list of expressions, since an entry may be null.
    out.u32(4);
    out.u8(0x41);
    out.s32(places.table + offset);
    out.u8(0x0b);
    out.u32(functions.length);
    for (const index of functions) {
      if (index === undefined) out.bytes([0xd0, 0x70]);
      else {
        out.u8(0xd2);
        out.u32(index + places.functions);
      }
      out.u8(0x0b);
    }
    count++;
  }
  return { count, bytes: out.copy() };
}

function constant(section: ModuleReader): number {
  if (section.byte() !== 0x41) reject('an element segment must begin at a constant index');
  const value = section.s32() >>> 0;
  end(section, 'an element segment must begin at a constant index');
  return value;
}

/** Function indices; undefined: null. */
function list(section: ModuleReader, expressions: boolean): (number | undefined)[] {
  const out: (number | undefined)[] = [];
  for (let left = section.count(moduleLimits.tableEntries, 'entries of an element segment'); left > 0; left--) out.push(expressions ? expression(section) : section.u32());
  return out;
}

function expression(section: ModuleReader): number | undefined {
  const op = section.byte();
  if (op !== 0xd2 && op !== 0xd0) reject('an element is not a function');
  const index = op === 0xd2 ? section.u32() : undefined;
  if (op === 0xd0) section.skipLeb();
  end(section, 'an element is not a function');
  return index;
}

function end(section: ModuleReader, reason: string): void {
  if (section.byte() !== 0x0b) reject(reason);
}
