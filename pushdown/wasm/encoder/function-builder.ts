import { invariant } from '../../types/error.js';
import { ByteWriter } from './byte-writer.js';
import {
  type LaneOp,
  laneOps,
  type MemoryLaneOp,
  type MemoryOp,
  memoryLaneOps,
  memoryOps,
  type PlainOp,
  plainOps,
  type ValType,
  valTypes,
} from './opcodes.js';

/** A local variable: its index, tagged with its type so that callers can pick instructions by it. */
export interface Local {
  readonly index: number;
  readonly type: ValType;
}

/** Target of a branch: a block (its end) or a loop (its start). */
export interface Label {
  readonly depth: number;
}

export interface FunctionType {
  readonly params: readonly ValType[];
  readonly results: readonly ValType[];
}

/** Body of one function, written in order, as the stack machine reads it. Every method returns `this` or what the body callback leaves. */
export class FunctionBuilder {
  readonly params: readonly Local[];
  readonly #locals: ValType[] = [];
  readonly #free = new Map<ValType, Local[]>();
  readonly #code = new ByteWriter();
  #depth = 0;

  constructor(
    readonly index: number,
    readonly type: FunctionType,
  ) {
    this.params = type.params.map((t, i) => ({ index: i, type: t }));
  }

  /** A new local, or one that was released. Its value is unspecified: set it first. */
  local(type: ValType): Local {
    const free = this.#free.get(type)?.pop();
    if (free) return free;
    this.#locals.push(type);
    return { index: this.params.length + this.#locals.length - 1, type };
  }

  /** Gives locals back for reuse by later `local` calls. */
  release(...locals: readonly Local[]): void {
    for (const local of locals) {
      const list = this.#free.get(local.type);
      if (list) list.push(local);
      else this.#free.set(local.type, [local]);
    }
  }

  get(local: Local): this {
    return this.#indexed(0x20, local.index);
  }

  set(local: Local): this {
    return this.#indexed(0x21, local.index);
  }

  tee(local: Local): this {
    return this.#indexed(0x22, local.index);
  }

  globalGet(global: number): this {
    return this.#indexed(0x23, global);
  }

  globalSet(global: number): this {
    return this.#indexed(0x24, global);
  }

  i32(value: number): this {
    this.#code.u8(0x41);
    this.#code.s32(value);
    return this;
  }

  i64(value: bigint): this {
    this.#code.u8(0x42);
    this.#code.s64(value);
    return this;
  }

  f32(value: number): this {
    this.#code.u8(0x43);
    this.#code.f32(value);
    return this;
  }

  f64(value: number): this {
    this.#code.u8(0x44);
    this.#code.f64(value);
    return this;
  }

  /** 16 bytes of a vector constant. */
  v128(bytes: ArrayLike<number>): this {
    invariant(bytes.length === 16, 'a vector constant has 16 bytes');
    this.#opcode(0xfd000c);
    this.#code.bytes(bytes);
    return this;
  }

  op(...names: readonly PlainOp[]): this {
    for (const name of names) this.#opcode(plainOps[name]);
    return this;
  }

  /** Load or store at (popped address) + offset. align: log2 of the known alignment, a hint; natural if not given. */
  mem(name: MemoryOp, offset = 0, align?: number): this {
    const [code, natural] = memoryOps[name];
    this.#opcode(code);
    this.#code.u32(align ?? natural);
    this.#code.u32(offset);
    return this;
  }

  lane(name: LaneOp, lane: number): this {
    this.#opcode(laneOps[name]);
    this.#code.u8(lane);
    return this;
  }

  memLane(name: MemoryLaneOp, lane: number, offset = 0): this {
    const [code, align] = memoryLaneOps[name];
    this.#opcode(code);
    this.#code.u32(align);
    this.#code.u32(offset);
    this.#code.u8(lane);
    return this;
  }

  /** Lanes 0..15 name bytes of the first operand, 16..31 of the second. */
  shuffle(lanes: readonly number[]): this {
    invariant(lanes.length === 16, 'a shuffle has 16 lanes');
    this.#opcode(0xfd000d);
    this.#code.bytes(lanes);
    return this;
  }

  /** memory.copy: pops destination, source, byte count. */
  memoryCopy(): this {
    this.#opcode(0xfc000a);
    this.#code.u8(0);
    this.#code.u8(0);
    return this;
  }

  /** memory.fill: pops destination, byte value, byte count. */
  memoryFill(): this {
    this.#opcode(0xfc000b);
    this.#code.u8(0);
    return this;
  }

  /** memory.init of a passive segment: pops destination, offset in the segment, byte count. */
  memoryInit(segment: number): this {
    this.#opcode(0xfc0008);
    this.#code.u32(segment);
    this.#code.u8(0);
    return this;
  }

  /** Encoded instructions, taken over as they are. */
  raw(instructions: ArrayLike<number>): this {
    this.#code.bytes(instructions);
    return this;
  }

  /** Pages of 64 KiB. */
  memorySize(): this {
    this.#code.bytes([0x3f, 0]);
    return this;
  }

  block(body: (end: Label) => void, result?: ValType): this {
    return this.#structured(0x02, body, result);
  }

  loop(body: (start: Label) => void, result?: ValType): this {
    return this.#structured(0x03, body, result);
  }

  /** Pops the condition. */
  if(then: (end: Label) => void, otherwise?: (end: Label) => void, result?: ValType): this {
    this.#code.u8(0x04);
    this.#blockType(result);
    const label = { depth: ++this.#depth };
    then(label);
    if (otherwise) {
      this.#code.u8(0x05);
      otherwise(label);
    }
    this.#code.u8(0x0b);
    this.#depth--;
    return this;
  }

  br(label: Label): this {
    return this.#indexed(0x0c, this.#depth - label.depth);
  }

  brIf(label: Label): this {
    return this.#indexed(0x0d, this.#depth - label.depth);
  }

  call(target: { readonly index: number }): this {
    return this.#indexed(0x10, target.index);
  }

  /** Runs body while condition (which leaves an i32) holds. */
  while(condition: () => void, body: () => void): this {
    return this.block((end) => {
      this.loop((start) => {
        condition();
        this.op('i32.eqz').brIf(end);
        body();
        this.br(start);
      });
    });
  }

  /** local += amount (i32). */
  add(local: Local, amount: number): this {
    return this.get(local).i32(amount).op('i32.add').set(local);
  }

  /** The function as an entry of the code section. */
  encode(): ByteWriter {
    invariant(this.#depth === 0, 'every block is closed');
    const out = new ByteWriter();
    const runs: { type: ValType; count: number }[] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    out.u32(runs.length);
    for (const run of runs) {
      out.u32(run.count);
      out.u8(valTypes[run.type]);
    }
    out.bytes(this.#code.view());
    out.u8(0x0b);
    return out;
  }

  #structured(code: number, body: (label: Label) => void, result?: ValType): this {
    this.#code.u8(code);
    this.#blockType(result);
    body({ depth: ++this.#depth });
    this.#code.u8(0x0b);
    this.#depth--;
    return this;
  }

  #blockType(result: ValType | undefined): void {
    this.#code.u8(result === undefined ? 0x40 : valTypes[result]);
  }

  #opcode(code: number): void {
    if (code <= 0xff) {
      this.#code.u8(code);
    } else {
      this.#code.u8(code >> 16);
      this.#code.u32(code & 0xffff);
    }
  }

  #indexed(code: number, index: number): this {
    this.#code.u8(code);
    this.#code.u32(index);
    return this;
  }
}
