import type { BaseModule } from './base-module.js';
import { ByteWriter } from './byte-writer.js';
import { FunctionBuilder, type FunctionType } from './function-builder.js';
import { type ValType, valTypes } from './opcodes.js';

const pageBytes = 65536;
const pagesMax = 65536;

/**
 * A module of kernel ABI v1: imports `millrace.memory`, defines everything else. Linear memory is laid out while the module is
 * written: `data` and `reserve` hand out addresses in ascending order, `heapEnd` is where the next would lie. With a base, that
 * module comes first, with its indices and addresses as they were, and exports nothing by itself.
 */
export class ModuleBuilder {
  readonly #types: FunctionType[] = [];
  readonly #functions: FunctionBuilder[] = [];
  readonly #globals: { type: ValType; initial: number }[] = [];
  readonly #exports: { name: string; index: number }[] = [];
  readonly #segments: { address: number; bytes: Uint8Array }[] = [];
  #tableEntry: FunctionBuilder | undefined;
  // Address 0 stays unused: it means "absent" in the ABI.
  #heapEnd = 64;

  constructor(readonly base?: BaseModule) {
    if (!base) return;
    this.#types.push(...base.types);
    this.#heapEnd = Math.max(64, base.memoryPages * pageBytes);
  }

  /** First free address of the static layout so far. */
  get heapEnd(): number {
    return this.#heapEnd;
  }

  func(params: readonly ValType[], results: readonly ValType[], exportName?: string): FunctionBuilder {
    const built = new FunctionBuilder((this.base?.functions.length ?? 0) + this.#functions.length, { params, results });
    this.#functions.push(built);
    if (exportName !== undefined) this.#exports.push({ name: exportName, index: built.index });
    return built;
  }

  /** A mutable i32 or i64 global; gives its index. */
  global(type: 'i32' | 'i64', initial = 0): number {
    this.#globals.push({ type, initial });
    return (this.base?.globals.length ?? 0) + this.#globals.length - 1;
  }

  /** Constant bytes in linear memory; gives their address. */
  data(bytes: Uint8Array, align = 16): number {
    const address = this.reserve(bytes.length, align);
    this.#segments.push({ address, bytes });
    return address;
  }

  /** Zeroed bytes in linear memory; gives their address. 128 bytes of slack follow, so vector code may run past the end. */
  reserve(bytes: number, align = 64): number {
    const address = Math.ceil(this.#heapEnd / align) * align;
    this.#heapEnd = address + bytes + 128;
    return address;
  }

  /** Makes an entry of the table; the index of release_fn. The entry before it stays null: a null release callback means "released". */
  tableEntry(target: FunctionBuilder): number {
    this.#tableEntry = target;
    return this.#tableIndex;
  }

  get #tableIndex(): number {
    return (this.base?.tableEntries ?? 0) + 1;
  }

  /** The finished module; its declared minimum of memory covers the whole static layout. */
  build(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter();
    out.bytes([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    const { base } = this;
    const typeOf = [...(base?.functions ?? []), ...this.#functions.map((f) => this.#typeIndex(f.type))];
    this.#section(out, 1, this.#types.length, (s) => {
      for (const type of this.#types) {
        s.u8(0x60);
        for (const list of [type.params, type.results]) {
          s.u32(list.length);
          for (const t of list) s.u8(valTypes[t]);
        }
      }
    });
    this.#section(out, 2, 1, (s) => {
      s.name('millrace');
      s.name('memory');
      s.bytes([0x02, 0x01]);
      s.u32(Math.ceil(this.#heapEnd / pageBytes));
      s.u32(pagesMax);
    });
    this.#section(out, 3, typeOf.length, (s) => {
      for (const index of typeOf) s.u32(index);
    });
    const tableEntries = this.#tableEntry ? this.#tableIndex + 1 : base?.tableEntries;
    if (tableEntries !== undefined)
      this.#section(out, 4, 1, (s) => {
        s.bytes([0x70, 0x01]);
        s.u32(tableEntries);
        s.u32(tableEntries);
      });
    const globals = base?.globals ?? [];
    if (globals.length + this.#globals.length > 0)
      this.#section(out, 6, globals.length + this.#globals.length, (s) => {
        for (const { type, mutable, initial } of globals) {
          s.bytes([valTypes[type], mutable ? 1 : 0]);
          s.bytes(initial);
          s.u8(0x0b);
        }
        for (const { type, initial } of this.#globals) {
          s.bytes([valTypes[type], 0x01, type === 'i32' ? 0x41 : 0x42]);
          s.s64(BigInt(initial));
          s.u8(0x0b);
        }
      });
    this.#section(out, 7, this.#exports.length, (s) => {
      for (const { name, index } of this.#exports) {
        s.name(name);
        s.u8(0x00);
        s.u32(index);
      }
    });
    const entry = this.#tableEntry;
    const elements = base?.elements;
    if (entry || elements?.count)
      this.#section(out, 9, (elements?.count ?? 0) + (entry ? 1 : 0), (s) => {
        if (elements) s.bytes(elements.bytes);
        if (!entry) return;
        s.bytes([0x00, 0x41]);
        s.s32(this.#tableIndex);
        s.bytes([0x0b, 0x01]);
        s.u32(entry.index);
      });
    const segments = base?.segments ?? [];
    // Without their count ahead of the code, memory.init is refused.
    if (segments.length > 0) this.#section(out, 12, segments.length + this.#segments.length, () => {});
    this.#section(out, 10, (base?.bodies.length ?? 0) + this.#functions.length, (s) => {
      for (const body of base?.bodies ?? []) {
        s.u32(body.length);
        s.bytes(body);
      }
      for (const f of this.#functions) s.sized(f.encode());
    });
    if (segments.length + this.#segments.length > 0)
      this.#section(out, 11, segments.length + this.#segments.length, (s) => {
        // All passive: whoever resets the module writes them where they belong (KernelModule).
        for (const { bytes } of segments) {
          s.u8(0x01);
          s.u32(bytes.length);
          s.bytes(bytes);
        }
        for (const { address, bytes } of this.#segments) {
          s.bytes([0x00, 0x41]);
          s.s32(address);
          s.u8(0x0b);
          s.u32(bytes.length);
          s.bytes(bytes);
        }
      });
    return out.copy();
  }

  #typeIndex(type: FunctionType): number {
    const key = (t: FunctionType) => `${t.params.join()}>${t.results.join()}`;
    const known = this.#types.findIndex((t) => key(t) === key(type));
    return known >= 0 ? known : this.#types.push(type) - 1;
  }

  #section(out: ByteWriter, id: number, count: number, write: (s: ByteWriter) => void): void {
    const section = new ByteWriter();
    section.u32(count);
    write(section);
    out.u8(id);
    out.sized(section);
  }
}
