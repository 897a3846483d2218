import { expect, test } from 'vitest';
import { KernelModule } from '../../pushdown/wasm/kernel-module.js';
import { vectorLog1pFunction } from '../../pushdown/wasm/vector-log1p.js';
import { log1p, log1pFunction } from '../../pushdown/wasm/log1p.js';

/** Two lanes: the other one holds `beside`, so that lanes that take different ways are seen together. */
function wasmVectorLog1p(): (x: number, beside: number) => number {
  const kernel = new KernelModule([], 1);
  kernel.process.i32(3);
  kernel.finish.i32(2);
  const inner = vectorLog1pFunction(kernel);
  const outer = kernel.module.func(['f64', 'f64'], ['f64'], 'log1p');
  const [x, beside] = outer.params;
  outer.get(beside!).op('f64x2.splat').get(x!).lane('f64x2.replace_lane', 1).call(inner).lane('f64x2.extract_lane', 1);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  return new WebAssembly.Instance(new WebAssembly.Module(kernel.build()), { millrace: { memory } }).exports.log1p as (x: number, beside: number) => number;
}

function wasmLog1p(): (x: number) => number {
  const kernel = new KernelModule([], 1);
  kernel.process.i32(3);
  kernel.finish.i32(2);
  const inner = log1pFunction(kernel);
  const outer = kernel.module.func(['f64'], ['f64'], 'log1p');
  outer.get(outer.params[0]!).call(inner);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  return new WebAssembly.Instance(new WebAssembly.Module(kernel.build()), { millrace: { memory } }).exports.log1p as (x: number) => number;
}

const edges = [0, -0, 1, -1, -2, -0.5, 0.41421, 0.41422, -0.2929, -0.29289, 1e-300, 5e-324, 1e-10, -1e-10, 1e-17, 2 ** -29, 2 ** 53, 2 ** 54, 1.5e308, Infinity, -Infinity, NaN];

test('both twins agree in every bit and are close to Math.log1p', () => {
  const twin = wasmLog1p();
  const vector = wasmVectorLog1p();
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const powers = Array.from({ length: 60 }, (_, i) => [2 ** i - 1, 2 ** i, 2 ** i + 1, 2 ** -i, 2 ** -i - 1, 2 ** i * (1 + 2 ** -21) - 1, 2 ** i * (1 - 2 ** -22) - 1]).flat();
  const values = [...edges, ...powers, ...Array.from({ length: 20_000 }, () => (random() - 0.3) * 10 ** Math.floor(random() * 40 - 20))];
  for (const [i, x] of values.entries()) {
    const y = log1p(x);
    expect(Object.is(vector(x, values[(i * 7) % values.length]!), y), `vector, x = ${x}`).toBe(true);
    expect(Object.is(vector(x, 0.5), y), `vector, x = ${x}`).toBe(true);
    expect(Object.is(twin(x), y), `x = ${x}: ${twin(x)} and ${y}`).toBe(true);
    const near = Math.log1p(x);
    if (Number.isFinite(near)) expect(Math.abs(y - near), `x = ${x}`).toBeLessThanOrEqual(Math.abs(near) * 2 ** -51);
    else expect(y).toBe(near);
  }
});
