// Kernels that do their worst, by seed: most are valid WebAssembly with the exports the ABI asks for, and lie in what they
// return, run for ever, ask for too much, or are shaped to hurt whoever compiles them. Some are no modules at all.
import { ModuleReader } from '../../pushdown/runtime/module-reader.js';
import type { Random } from '../differential/random.js';
import { assemble, type KernelParts, kernelText, sumParts } from '../kernels/wat.js';

export interface HostileModule {
  readonly kind: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const nasty32 = [0, 1, 7, 63, 64, 4095, 4096, 65535, 65536, 0x7fffffff, -0x80000000, -1, -8, -64, -4096] as const;
const nasty64 = ['0', '1', '-1', '7', '65536', '16777216', '16777217', '4294967295', '4294967296', '9223372036854775807', '-9223372036854775808'] as const;

const number = (r: Random) => (r.chance(0.7) ? r.pick(nasty32) : r.u32() | 0);
const sum = sumParts.process.replace(/\(i32\.const 3\)\s*$/, '');
/** Its outputs are NaNs of every make: the frames must hold none but the canonical ones. */
export const nanKind = 'puts out strange NaNs';

/** Where the sum kernel's structs lie: the batch at $out, its one column behind the list of columns. */
const structs = ['(local.get $out)', '(i32.const 8448)'] as const;

type Make = (r: Random) => KernelParts;

const spoil = (r: Random): string => {
  const at = r.pick(structs);
  const field = r.pick([0, 8, 16, 24, 32]);
  return r.chance(0.5)
    ? `(i64.store offset=${field} ${at} (i64.const ${r.pick(nasty64)}))`
    : `(i32.store offset=${r.pick([40, 44, 48, 52, 56, 64, 68, 72])} ${at} (i32.const ${number(r)}))`;
};
const withProcess = (process: string, more: Partial<KernelParts> = {}): KernelParts => ({ ...sumParts, ...more, process });

const makers: Readonly<Record<string, Make>> = {
  'lies in the output structs': (r) => withProcess(`${sum} ${Array.from({ length: r.int(1, 4) }, () => spoil(r)).join(' ')} (i32.const ${r.pick([1, 3, 3, 3])})`),
  'returns nonsense': (r) => withProcess(`${r.chance(0.5) ? sum : ''} (i32.const ${number(r)})`),
  'allocates nonsense': (r) => ({
    ...sumParts,
    alloc: r.pick([
      `(i32.const ${number(r)})`,
      `(i32.add (local.get $bytes) (i32.const ${number(r)}))`,
      `(global.set $given (i32.add (global.get $given) (i32.const ${number(r)}))) (global.get $given)`,
      `(i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const ${number(r)}))`,
      '(if (global.get $given) (then unreachable)) (global.set $given (i32.const 1)) (i32.const 65536)',
      '(memory.fill (i32.const 0) (i32.const 255) (local.get $bytes)) (i32.const 65536)',
    ]),
  }),
  'declares a schema that is none': (r) => ({
    ...sumParts,
    ...(r.chance(0.5) ? { schema: `(i32.const ${number(r)})` } : { schema: `(i32.store offset=${r.pick([0, 4, 16, 24, 32, 40])} (i32.const ${r.pick([1024, 3072])}) (i32.const ${number(r)})) (i32.const 1024)` }),
    formats: [r.pick(['l', 'l', '', 'Z', 'd:99,2', 'd:-1,-1', 'tdD', '+s', '+w:2147483647', 'l'.repeat(5000), '\\ff\\fe'])],
  }),
  'traps': (r) => withProcess(r.pick(['unreachable', `(drop (i64.load offset=${r.u32()} (i32.const ${number(r)})))`, '(i32.div_s (i32.const -2147483648) (i32.const -1))', '(i32.rem_u (i32.const 1) (local.get $i))', '(i32.trunc_f64_s (f64.const nan))', `(call_indirect (type $release) (i32.const 1) (i32.const ${number(r)})) (i32.const 2)`])),
  'writes where it may not': (r) => withProcess(`(i32.store (i32.add (call $column_data (local.get $in) (i32.const 0)) (i32.const ${r.pick([0, 4, 4092, 65536, -4])})) (i32.const 7)) ${sum} (i32.const 3)`),
  'runs for ever': (r) => {
    const forever = '(loop $on (br $on))';
    return r.pick<() => KernelParts>([
      () => withProcess(`${forever} (i32.const 3)`),
      () => ({ ...sumParts, reset: forever }),
      () => ({ ...sumParts, alloc: `${forever} (i32.const 65536)` }),
      () => ({ ...sumParts, schema: `${forever} (i32.const 1024)` }),
    ])();
  },
  'asks to be called for ever': () => withProcess(`${sum} (i32.const 1)`),
  'recurses': (r) => withProcess('(call $deep (i64.const 1)) (i32.const 3)', {
    extra: `(func $deep (param i64) ${'(local v128)'.repeat(r.int(0, 200))} (call $deep (i64.add (local.get 0) (i64.const 1))))`,
  }),
  'puts out far too much': (r) => ({
    formats: Array.from({ length: r.int(1, 60) }, () => 'l'),
    process: `(call $batch (local.get $out) (i32.const ${r.pick([1_000_000, 16_777_216, 16_777_217])}) (i32.const 1)) (call $put (i32.const 0) (i32.const 1000000) (i32.const 2) (i32.const 0) (call $column_data (local.get $in) (i32.const 0)) (i32.const 0)) (i32.const ${r.pick([1, 3])})`,
  }),
  'grows and fills': (r) => withProcess(`(drop (memory.grow (i32.const ${number(r)}))) (memory.fill (i32.const 65536) (i32.const 1) (i32.const ${r.pick([1000, 1_000_000, 20_000_000])})) ${sum} (i32.const 3)`),
  'has a huge table': (r) => ({ ...sumParts, imports: '', extra: `(table $more ${r.pick([1000, 1_000_000, 9_999_999, 10_000_001])} funcref)` }),
  'has many of everything': (r) => ({
    ...sumParts,
    extra: r.pick([
      () => Array.from({ length: r.int(10, 3000) }, (_, i) => `(func $f${i} (result i32) (i32.const ${i}))`).join(''),
      () => Array.from({ length: r.int(10, 3000) }, (_, i) => `(global $g${i} (mut i64) (i64.const ${i}))`).join(''),
      () => `(func $wide (result i32) ${'(local i64)'.repeat(r.int(100, 20_000))} (i32.const 0))`,
      () => Array.from({ length: r.int(10, 3000) }, (_, i) => `(data (i32.const ${20_000 + i}) "x")`).join(''),
    ])(),
  }),
  'imports what it may not': (r) => ({ ...sumParts, imports: r.pick(['(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))', '(import "millrace" "memory2" (memory 1))', '(import "" "" (global i32))']) }),
  'declares another memory': (r) => ({ ...sumParts, memory: `(import "millrace" "memory" (memory ${r.pick([0, 1, 600, 65536])} ${r.pick([65536, 65536, 600])}))` }),
  'weaves its structs': (r) => withProcess(`${sum} ${Array.from({ length: r.int(1, 3) }, () => r.pick([
    '(i32.store (i32.const 8192) (local.get $out))', // its own child
    '(i32.store (i32.const 8192) (i32.const 8192))',
    '(i32.store offset=44 (local.get $out) (local.get $out))',
    '(i32.store offset=44 (i32.const 8448) (i32.const 8192))', // a child of its child
    '(i32.store offset=40 (i32.const 8448) (local.get $out))',
    '(i32.store offset=64 (i32.const 8448) (local.get $in))',
    '(i32.store offset=68 (i32.const 8448) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8)))', // to the last byte
    '(i32.store offset=68 (i32.const 8448) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 7)))', // one beyond it
    '(i32.store offset=48 (i32.const 8448) (i32.const 8448))',
  ])).join(' ')} (i32.const 3)`),
  'puts out the window': (r) => withProcess(`(local.set $n (i32.const ${r.pick([0, 1, 7, 8, 20_000, 1_000_000, 4_000_000])})) (call $batch (local.get $out) (local.get $n) (i32.const 1))
    (call $put (i32.const 0) (local.get $n) (i32.const 2) ${r.pick(['(i32.const 0)', '(call $column_data (local.get $in) (i32.const 0))', '(i32.const 1)'])} (i32.add (call $column_data (local.get $in) (i32.const 0)) (i32.const ${r.pick([0, 1, 4, 4096, -4096, 16 << 20])})) (i32.const 0)) (i32.const 3)`),
  'lies about strings': (r) => ({
    formats: ['u'],
    process: `${Array.from({ length: 5 }, (_, i) => `(i32.store (i32.const ${16384 + 4 * i}) (i32.const ${r.chance(0.4) ? i * 3 : number(r)}))`).join(' ')} (call $batch (local.get $out) (i32.const ${r.pick([0, 1, 4, 5, 1000])}) (i32.const 1))
      (call $put (i32.const 0) (i32.load (local.get $out)) (i32.const ${r.pick([3, 3, 3, 2])}) (i32.const 0) (i32.const ${r.pick([16384, 16384, 16385, -4])}) (i32.const ${number(r)})) (i32.const 3)`,
  }),
  [nanKind]: (r) => ({
    formats: [r.pick(['f', 'g'])],
    process: `${Array.from({ length: 8 }, (_, i) => `(i64.store (i32.const ${16384 + 8 * i}) (i64.const ${r.pick(['0x7ff8000000000001', '0xfff8000000000000', '0x7ff0000000000001', '0xffffffffffffffff', '0x7fc000017fa00000', '0xffc00000ff800001', '0x7ff0000000000000', '0x3ff0000000000000'])}))`).join(' ')}
      (call $batch (local.get $out) (i32.const 8) (i32.const 1)) (call $put (i32.const 0) (i32.const 8) (i32.const 2) (i32.const 0) (i32.const ${r.pick([16384, 16384, 16387])}) (i32.const 0)) (i32.const 3)`,
  }),
  'rewrites what it was given': (r) => withProcess(`(memory.fill (local.get $in) (i32.const ${r.int(0, 255)}) (i32.const ${r.pick([1, 64, 300])})) (memory.fill (i32.const ${r.pick([512, 1024, 2048, 3072])}) (i32.const ${r.int(0, 255)}) (i32.const 64)) ${r.chance(0.5) ? sum : '(memory.fill (local.get $out) (i32.const 255) (i32.const 64))'} (i32.const 3)`),
  'fills tables beyond their end': (r) => ({ ...sumParts, extra: `(elem (i32.const ${r.pick([1, 5000, -1, 0x7fffffff])}) $nothing $nothing)` }),
  'is hard to compile': (r) => ({
    ...sumParts,
    extra: r.pick([
      () => `(func (param i32) ${Array.from({ length: r.int(10, 300) }, () => '(block (block (block (br_table 0 1 2 0 1 2 (local.get 0)))))').join('')})`,
      // Every value lives to the end.
      () => { const n = r.int(100, 3000); return `(func (param i64) (result i64) ${'(local i64)'.repeat(n)} ${Array.from({ length: n }, (_, i) => `(local.set ${i + 1} (i64.mul (local.get ${i}) (local.get ${r.int(0, i)})))`).join('')} (loop $l ${Array.from({ length: 50 }, () => `(local.set ${r.int(1, n)} (i64.add (local.get ${r.int(0, n)}) (local.get ${r.int(0, n)})))`).join('')} (br_if $l (i64.eqz (local.get 1)))) (local.get ${n}))`; },
    ])(),
  }),
  'recurses in wide frames': (r) => withProcess('(call $deep (i32.const 1)) (i32.const 3)', {
    extra: `(func $deep (param i32) ${'(local v128)'.repeat(r.pick([1000, 10_000, 40_000]))} (local.set 1 (i32x4.splat (local.get 0))) (call $deep (i32x4.extract_lane 0 (local.get 1))) (local.set 2 (local.get 1)))`,
  }),
  'starts by itself': () => ({ ...sumParts, extra: '(func $first (loop $on (br $on))) (start $first)' }),
};

/** Costs its slot, 50 ms of start each: a few of a thousand. */
const crashing: Make = (r) => (r.chance(0.5) ? crashingFill(r) : withProcess('(memory.init $d (call $column_data (local.get $in) (i32.const 0)) (i32.const 0) (i32.const 4)) (i32.const 2)', { extra: `(data $d "abcd${r.int(0, 1e6)}")` }));
const crashingFill: Make = (r) => withProcess(`(memory.fill (i32.add (call $column_data (local.get $in) (i32.const 0)) (i32.const ${r.int(0, 1000)})) (i32.const 7) (i32.const 64)) (i32.const ${r.int(2, 3)})`);

/** Bytes too strange for an assembler are put in place of this mark: seven nops. */
const mark = '(nop)(nop)(nop)(nop)(nop)(nop)(nop)';

function leb(value: number): number[] {
  const bytes: number[] = [];
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value > 0);
  return bytes;
}

/** The sum kernel with instructions in place of the mark: the body's and the section's sizes are written anew. */
async function sumWith(instructions: readonly number[]): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await assemble(kernelText(withProcess(`${mark} ${sumParts.process}`)));
  const at = Buffer.from(bytes).indexOf(Buffer.alloc(7, 1));
  const reader = new ModuleReader(bytes, 8);
  for (;;) {
    const sectionAt = reader.at;
    const id = reader.byte();
    const section = reader.part(reader.u32());
    if (id !== 10) continue;
    const countAt = section.at;
    const count = section.u32();
    let bodies: number[] = [...bytes.subarray(countAt, section.at)];
    for (let i = 0; i < count; i++) {
      const body = section.part(section.u32());
      const marked = at >= body.at && at < body.end;
      const code = marked ? [...bytes.subarray(body.at, at), ...instructions, ...bytes.subarray(at + 7, body.end)] : [...bytes.subarray(body.at, body.end)];
      bodies = bodies.concat(leb(code.length), code);
    }
    return new Uint8Array([...bytes.subarray(0, sectionAt), 10, ...leb(bodies.length), ...bodies, ...bytes.subarray(section.end)]);
  }
}

async function deeplyNested(r: Random): Promise<Uint8Array<ArrayBuffer>> {
  const [open, close] = r.pick([[[0x02, 0x40], [0x0b]], [[0x03, 0x40], [0x0b]], [[0x41, 0, 0x04, 0x40], [0x0b]], [[0x41, 1, 0x1a], []]]);
  // Nested loops cost the compiler the square of their depth: the ten seconds it may take are hostile-kernels.test.ts's to spend.
  const depth = r.pick(open[0] === 0x03 ? [100, 1000, 3000] : [100, 1000, 10_000, 50_000]);
  return nested(depth, open, close, r.chance(0.5) && open[0] === 0x02 ? r.int(1, depth > 1000 ? 1000 : 20_000) : 0);
}

/** `depth` times `open`, then as often `close`; `targets`: inside, a switch with so many. */
export async function nested(depth: number, open: readonly number[], close: readonly number[], targets = 0): Promise<Uint8Array<ArrayBuffer>> {
  const instructions: number[] = [];
  for (let i = 0; i < depth; i++) instructions.push(...open);
  if (targets > 0) {
    instructions.push(0x20, 0, 0x0e, ...leb(targets));
    for (let i = 0; i <= targets; i++) instructions.push(...leb(i % depth));
  }
  for (let i = 0; i < depth; i++) instructions.push(...close);
  return sumWith(instructions);
}

const kinds = Object.keys(makers);

let plain: Promise<Uint8Array<ArrayBuffer>> | undefined;

/** A valid kernel with bytes changed, cut off, or doubled: most are no modules any more. */
async function mangled(r: Random): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = (await (plain ??= assemble(kernelText(sumParts)))).slice();
  if (r.chance(0.2)) return bytes.slice(0, r.int(1, bytes.length - 1));
  for (let i = r.int(1, 6); i > 0; i--) bytes[r.int(0, bytes.length - 1)] = r.chance(0.3) ? r.pick([0, 0x7f, 0x80, 0xff]) : r.int(0, 255);
  return bytes;
}

export async function hostileModule(r: Random): Promise<HostileModule> {
  if (r.chance(0.3)) return { kind: 'mangled', bytes: await mangled(r) };
  if (r.chance(0.005)) return { kind: 'crashes its slot', bytes: await assemble(kernelText(crashing(r))) };
  if (r.chance(0.04)) return { kind: 'nests deeply', bytes: await deeplyNested(r) };
  const kind = r.pick(kinds);
  // Time-outs take their time: they are tried less often.
  if (/for ever|far too much|hard to compile/.test(kind) && !r.chance(0.15)) return hostileModule(r);
  try {
    return { kind, bytes: await assemble(kernelText((makers[kind] as Make)(r))) };
  } catch {
    // wabt knows some limits itself; then the text's bytes are as good a module as any.
    return { kind: 'mangled', bytes: await mangled(r) };
  }
}
