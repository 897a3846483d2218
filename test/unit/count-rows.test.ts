import { expect, it } from 'vitest';
import { compileKernel } from '../../pushdown/runtime/kernel-module.js';
import { KernelInstance } from '../../pushdown/runtime/kernel.js';
import type { DatasetSchema } from '../../pushdown/types/schema.js';
import { compilePlan } from '../../pushdown/wasm/compile-plan.js';

const dataset: DatasetSchema = {
  name: 't', rows: 1000, rowGroups: 1, rowGroupRowsMax: 1000,
  columns: [
    { name: 'text', type: { kind: 'utf8' }, physical: 'utf8', nullable: false },
    { name: 'wide', type: { kind: 'int64' }, physical: 'i64', nullable: false },
    { name: 'narrow', type: { kind: 'int64' }, physical: 'i8', nullable: false },
  ],
};

it('counting rows scans the narrowest column, since rows come with columns', () => {
  const { scan, rest } = compilePlan({ dataset: 't', ops: [{ kind: 'aggregate', groupBy: [], aggregates: [{ name: 'n', fn: 'count' }] }] }, dataset);
  expect([scan.inputColumns, rest]).toEqual([[2], []]);
  const instance = new KernelInstance(compileKernel(scan.wasm), { windowBytes: 4096, inputColumns: 1 });
  const out = [...instance.runMorsel(1000, instance.loadBatch([{ validity: null, offsets: null, data: new Uint8Array(1000) }]))];
  expect(out.map((o) => new DataView(o.data[0].data.slice().buffer).getBigInt64(0, true))).toEqual([1000n]);
});
