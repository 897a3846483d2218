// The other side of `slots`: the same kernel bytes in the same runtime with the slots' V8 flags, no jail, no ring, no device.
// Reads { module (base64), rows, groups } as one JSON line; then for each line with a count of morsels runs so many and
// answers { ms, sum }.
import { createInterface } from 'node:readline';
import { compileKernel } from '../pushdown/runtime/kernel-module.js';
import { KernelInstance } from '../pushdown/runtime/kernel.js';
import { slotColumn } from './slots-data.js';

let run: ((morsels: number) => { ms: number; sum: string }) | undefined;

function prepare({ module, rows, groups }: { module: string; rows: number; groups: number }): (morsels: number) => { ms: number; sum: string } {
  const stride = Math.ceil((rows * 4) / 4096) * 4096;
  const instance = new KernelInstance(compileKernel(new Uint8Array(Buffer.from(module, 'base64'))), { windowBytes: stride * groups, inputColumns: 1 });
  for (let g = 0; g < groups; g++) new Int32Array(instance.memory.buffer, instance.windowAddress + g * stride, rows).set(slotColumn(g, rows));
  return (morsels) => {
    let sum = 0n;
    const start = process.hrtime.bigint();
    for (let m = 0; m < morsels; m++)
      for (const { data } of instance.runMorsel(rows, [{ validity: 0, offsets: 0, data: instance.windowAddress + (m % groups) * stride, nullCount: 0 }])) {
        // The first output column is the sum, a 64- or 128-bit integer of one row.
        const bytes = data[0]?.data as Uint8Array;
        sum += new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true);
      }
    return { ms: Number(process.hrtime.bigint() - start) / 1e6, sum: String(sum) };
  };
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line) as { module: string; rows: number; groups: number } | { morsels: number };
  if ('module' in order) run = prepare(order);
  else if (run) process.stdout.write(`${JSON.stringify(run(order.morsels))}\n`);
});
