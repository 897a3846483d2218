// A stream that is checkpointed and restored at any batch boundary, any number of times, puts out what it would have put out
// undisturbed, bit by bit; and no byte of a checkpoint can be changed unnoticed. Replay with MILLRACE_SEED=n.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it, vi } from 'vitest';
import { checkpointPageBytes, readCheckpoint } from '../../pushdown/runtime/checkpoint.js';
import { Crc32c } from '../../pushdown/runtime/crc32c.js';
import { KernelInstance, type KernelOptions } from '../../pushdown/runtime/kernel.js';
import { compileKernel, type KernelModule } from '../../pushdown/runtime/kernel-module.js';
import { CheckpointHeader } from '../../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { native, packageRoot } from '../../native/index.js';
import { Random } from '../differential/random.js';
import { kernel, sumParts } from '../kernels/wat.js';
import { statefulKernel } from '../kernels/stateful.js';

const long = process.env.MILLRACE_TEST === 'long';
const seed = Number(process.env.MILLRACE_SEED ?? (long ? Date.now() % 2 ** 32 : 20240601));
const kernels = long ? 5000 : 80;
// Thousands of instances, one after the other: how long that takes is the machine's, and what is asserted has no time in it. This ends a hang only.
vi.setConfig({ testTimeout: long ? 3_600_000 : 600_000 });

const own: KernelOptions = { windowBytes: 65536, inputColumns: 1 };
function sharedPlace(): KernelOptions {
  return { windowBytes: 1 << 20, inputColumns: 1, shared: { memory: new WebAssembly.Memory({ initial: 64, maximum: 64 }), windowAddress: 1 << 20 } };
}

function take(instance: KernelInstance): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat([...instance.checkpoint()].map((p) => p.slice())));
}

/** Restored from pieces cut anywhere. */
function restored(module: KernelModule, options: KernelOptions, checkpoint: Uint8Array, r = new Random(1)): KernelInstance {
  const instance = new KernelInstance(module, options);
  const restore = instance.restore();
  for (let at = 0; at < checkpoint.length; ) {
    const to = Math.min(checkpoint.length, at + r.pick([1, 63, 64, 1000, 4096, 65536]));
    restore.push(checkpoint.subarray(at, to));
    at = to;
  }
  restore.end();
  return instance;
}

function run(module: KernelModule, place: () => KernelOptions, batches: readonly Int32Array[], move: (instance: KernelInstance) => KernelInstance): string[] {
  let instance = new KernelInstance(module, place());
  const outputs: string[] = [];
  for (const batch of batches) {
    for (const output of instance.processBatch(batch.length, [{ validity: null, offsets: null, data: new Uint8Array(batch.buffer) }])) outputs.push(Buffer.from(output.data[0]?.data ?? []).toString('hex'));
    instance = move(instance);
  }
  // finish puts out one batch after another, and the stream may move after each of them.
  for (let over = false; !over; ) {
    over = true;
    for (const output of instance.finish()) {
      outputs.push(Buffer.from(output.data[0]?.data ?? []).toString('hex'));
      const next = move(instance);
      if (next === instance) continue;
      instance = next;
      over = output.last;
      break;
    }
  }
  return outputs;
}

it(`${kernels} random stateful kernels, moved at random boundaries (seed ${seed})`, async () => {
  let bytesMost = 0;
  let moves = 0;
  for (let n = 0; n < kernels; n++) {
    const r = new Random(seed + n);
    const module = compileKernel(await statefulKernel(r));
    const batches = Array.from({ length: r.int(0, 6) }, () => Int32Array.from({ length: r.int(0, 40) }, () => r.u32() | 0));
    const place = r.chance(0.5) ? () => own : sharedPlace;
    const undisturbed = run(module, place, batches, (instance) => instance);
    const chance = r.pick([0.3, 1]);
    const moved = run(module, place, batches, (instance) => {
      if (!r.chance(chance)) return instance;
      moves++;
      const checkpoint = take(instance);
      bytesMost = Math.max(bytesMost, checkpoint.length);
      const next = restored(module, place(), checkpoint, r);
      expect(next.cursor).toEqual(instance.cursor);
      // The same state gives the same bytes, wherever it is.
      expect(Buffer.compare(take(next), checkpoint)).toBe(0);
      return next;
    });
    expect(moved, `MILLRACE_SEED=${seed + n} node scripts/test.mjs test/property/checkpoint.test.ts`).toEqual(undisturbed);
  }
  expect(moves).toBeGreaterThan(kernels);
  console.log(`${moves} moves; the largest checkpoint has ${bytesMost} bytes of ${64 * 65536}`);
});
it('goes on in another process after kill -9 of the one that wrote it', async () => {
  for (let n = 0; n < 3; n++) {
    const bytes = await statefulKernel(new Random(seed + n));
    const module = compileKernel(bytes);
    const batches = Array.from({ length: 5 }, (_, i) => Int32Array.from({ length: 9 }, (_, k) => i * 31 + k));
    const undisturbed = run(module, () => own, batches, (instance) => instance);
    const cut = n + 1;
    const code = `
      const at = (path) => import(new URL(path, ${JSON.stringify(pathToFileURL(join(packageRoot, 'dist/pushdown/runtime/')).href)}));
      const { compileKernel } = await at('kernel-module.js');
      const { KernelInstance } = await at('kernel.js');
      const instance = new KernelInstance(compileKernel(Uint8Array.from(Buffer.from('${Buffer.from(bytes).toString('base64')}', 'base64'))), { windowBytes: 65536, inputColumns: 1 });
      const outputs = [];
      for (const values of ${JSON.stringify(batches.slice(0, cut).map((b) => [...b]))}) for (const output of instance.processBatch(values.length, [{ validity: null, offsets: null, data: new Uint8Array(Int32Array.from(values).buffer) }])) outputs.push(Buffer.from(output.data[0].data).toString('hex'));
      console.log(JSON.stringify({ outputs, checkpoint: Buffer.concat([...instance.checkpoint()].map((p) => p.slice())).toString('base64') }));
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    let told = '';
    for await (const part of child.stdout) {
      told += part;
      if (told.endsWith('\n')) break;
    }
    child.kill('SIGKILL');
    const { outputs, checkpoint } = JSON.parse(told) as { outputs: string[]; checkpoint: string };
    const instance = restored(module, own, Uint8Array.from(Buffer.from(checkpoint, 'base64')));
    expect(instance.cursor.batches).toBe(cut);
    for (const batch of batches.slice(cut)) for (const output of instance.processBatch(batch.length, [{ validity: null, offsets: null, data: new Uint8Array(batch.buffer) }])) outputs.push(Buffer.from(output.data[0]?.data ?? []).toString('hex'));
    for (const output of instance.finish()) outputs.push(Buffer.from(output.data[0]?.data ?? []).toString('hex'));
    expect(outputs).toEqual(undisturbed);
  }
});

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof MillraceError) return thrown.code;
    throw thrown;
  }
  return 'accepted';
};

it('refuses what is cut, changed at any byte, of another kernel or for another place', async () => {
  const module = compileKernel(await statefulKernel(new Random(7)));
  const instance = new KernelInstance(module, own);
  for (const _ of instance.processBatch(3, [{ validity: null, offsets: null, data: new Uint8Array(Int32Array.of(1, 2, 3).buffer) }]));
  const good = take(instance);
  expect(codeOf(() => restored(module, own, good))).toBe('accepted');
  for (let cut = 0; cut < good.length; cut += 97) expect(codeOf(() => restored(module, own, good.subarray(0, cut)))).toBe('MR_CHECKPOINT_INVALID');
  expect(codeOf(() => restored(module, own, Uint8Array.from([...good, 0])))).toBe('MR_CHECKPOINT_INVALID');
  for (let at = 0; at < good.length; at += at < 1000 ? 1 : 61) {
    const changed = good.slice();
    changed[at] = (changed[at] as number) ^ 0x41;
    expect(codeOf(() => restored(module, own, changed)), `byte ${at}`).toMatch(/^MR_CHECKPOINT_(INVALID|MISMATCH)$/);
  }
  const version = good.slice();
  version[CheckpointHeader.version] = 2;
  expect(codeOf(() => readCheckpoint(version))).toBe('MR_CHECKPOINT_INVALID');
  expect(codeOf(() => restored(compileKernel(new Uint8Array([...module.bytes, 0, 1, 0])), own, good))).toBe('MR_CHECKPOINT_MISMATCH');
  expect(codeOf(() => restored(module, { ...own, windowBytes: 131072 }, good))).toBe('MR_CHECKPOINT_MISMATCH');
  expect(codeOf(() => restored(module, { ...own, inputColumns: 2 }, good))).toBe('MR_CHECKPOINT_MISMATCH');
  expect(codeOf(() => restored(module, sharedPlace(), good))).toBe('MR_CHECKPOINT_MISMATCH');
});

it('a forged one, its checksum right, reaches nothing but the state of its own kernel', async () => {
  const module = compileKernel(await statefulKernel(new Random(8)));
  const good = take(new KernelInstance(module, own));
  const { pageCount, globalCount } = readCheckpoint(good);
  const forge = (change: (view: DataView, pagesAt: number) => void): Uint8Array => {
    const forged = good.slice();
    const view = new DataView(forged.buffer);
    change(view, CheckpointHeader.bytes + globalCount * 32);
    view.setUint32(CheckpointHeader.crc32c, 0, true);
    view.setUint32(CheckpointHeader.crc32c, new Crc32c().update(forged).value, true);
    return forged;
  };
  const window = new KernelInstance(module, own);
  for (const address of [window.windowAddress, window.windowAddress + 65536 - 4096, window.memory.buffer.byteLength, 0xfffff000, 1, 4095]) {
    const at = pageCount - 1;
    expect(codeOf(() => restored(module, own, forge((view, pagesAt) => view.setUint32(pagesAt + 4 * at, address, true)))), `a page at ${address}`).toMatch(/^MR_CHECKPOINT_/);
  }
  for (const field of ['inputAddress', 'outputAddress', 'schemaAddress', 'releaseFn', 'windowAddress', 'memoryPages', 'globalCount', 'pageCount'] as const)
    for (const value of [0, 1, 0x7fffffff, 0xffffffff].filter((v) => v !== new DataView(good.buffer).getUint32(CheckpointHeader[field], true))) expect(codeOf(() => restored(module, own, forge((view) => view.setUint32(CheckpointHeader[field], value, true)))), `${field} ${value}`).toMatch(/^MR_CHECKPOINT_/);
  for (const field of ['windowBytes', 'totalBytes', 'batches'] as const)
    expect(codeOf(() => restored(module, own, forge((view) => view.setBigUint64(CheckpointHeader[field], 0xffffffffffffffffn, true))))).toBe('MR_CHECKPOINT_INVALID');
  for (const [at, value] of [[0, 99], [4, 0x7e]] as const) expect(codeOf(() => restored(module, own, forge((view) => view.setUint32(CheckpointHeader.bytes + at, value, true))))).toBe('MR_CHECKPOINT_MISMATCH');
  // Any state a forger likes: the kernel may trap or put out nonsense, and its output is checked like any other.
  const r = new Random(9);
  for (let i = 0; i < 50; i++) {
    const forged = forge((view) => { for (let k = 0; k < 30; k++) view.setUint32(good.length - checkpointPageBytes * pageCount + 4 * r.int(0, (checkpointPageBytes * pageCount) / 4 - 1), r.u32(), true); });
    const instance = restored(module, own, forged);
    try {
      for (const output of instance.processBatch(1, [{ validity: null, offsets: null, data: new Uint8Array(4) }])) expect(output.rows).toBeLessThanOrEqual(16 << 20);
    } catch (thrown) {
      expect(thrown).toMatchObject({ name: 'KernelFault' });
    }
  }
});

it('holds no page that is zero, and a memory of 64 MiB costs what was written', async () => {
  const module = compileKernel(await kernel({ ...sumParts, extra: '(global $kept (mut i64) (i64.const 5))' }));
  const shared = { memory: new WebAssembly.Memory({ initial: 1024, maximum: 1024 }), windowAddress: 32 << 20 };
  const instance = new KernelInstance(module, { windowBytes: 16 << 20, inputColumns: 1, shared });
  const checkpoint = take(instance);
  expect(readCheckpoint(checkpoint).pageCount).toBeLessThan(8);
  expect(checkpoint.length).toBeLessThan(40_000);
});

it('its CRC-32C is that of the device', () => {
  const r = new Random(3);
  for (const length of [0, 1, 9, 4096, 100_000]) {
    const bytes = Uint8Array.from({ length }, () => r.u32());
    expect(new Crc32c().update(bytes.subarray(0, length >> 1)).update(bytes.subarray(length >> 1)).value).toBe(native().crc32c(bytes));
  }
});
