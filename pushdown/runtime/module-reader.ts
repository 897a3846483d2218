import { KernelFault } from './kernel-fault.js';
import { GuestFault } from './wire.gen.js';

export function reject(reason: string): never {
  throw new KernelFault(GuestFault.ModuleRejected, reason);
}

const nameDecoder = new TextDecoder();
const nameBytesKept = 64;

/** Walks the bytes of a WebAssembly module. Every read is checked; a module that ends early is rejected. */
export class ModuleReader {
  constructor(
    readonly bytes: Uint8Array,
    public at = 0,
    readonly end = bytes.length,
  ) {}

  get done(): boolean {
    return this.at >= this.end;
  }

  byte(): number {
    if (this.at >= this.end) reject(`the module ends early, at byte ${this.at}`);
    return this.bytes[this.at++] as number;
  }

  skip(count: number): void {
    if (count > this.end - this.at) reject(`the module ends early, at byte ${this.at}`);
    this.at += count;
  }

  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const b = this.byte();
      value += (b & 0x7f) * 2 ** shift;
      if (b < 0x80) {
        if (value > 0xffffffff) break;
        return value;
      }
    }
    return reject(`bad LEB128 number before byte ${this.at}`);
  }

  /** A u32 of at most `max`: how many of `what` follow. */
  count(max: number, what: string): number {
    const count = this.u32();
    if (count > max) reject(`${count} ${what}, at most ${max} are allowed`);
    return count;
  }

  /** A signed 32-bit number. */
  s32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const b = this.byte();
      value |= shift < 32 ? (b & 0x7f) << shift : 0;
      if (b >= 0x80) continue;
      return shift < 28 && (b & 0x40) !== 0 ? value | (-1 << (shift + 7)) : value;
    }
    return reject(`bad LEB128 number before byte ${this.at}`);
  }

  /** Steps over a signed or unsigned LEB128 number of up to 64 bits. */
  skipLeb(): void {
    for (let i = 0; i < 10; i++) if (this.byte() < 0x80) return;
    reject(`bad LEB128 number before byte ${this.at}`);
  }

  /** A reader over the next `count` bytes; this reader steps behind them. */
  part(count: number): ModuleReader {
    const start = this.at;
    this.skip(count);
    return new ModuleReader(this.bytes, start, start + count);
  }

  /** A name, of which no more is kept than a message may show: those that mean anything are shorter. */
  name(): string {
    const part = this.part(this.u32());
    const text = nameDecoder.decode(part.bytes.subarray(part.at, Math.min(part.end, part.at + nameBytesKept)));
    return part.end - part.at > nameBytesKept ? `${text}...` : text;
  }
}
