// How fast do generated kernels run over data that already lies in their memory? No device, no queue, no client: the floor of the
// other benchmarks. Run: node --no-liftoff --no-wasm-lazy-compilation dist/benchmarks/kernels-local.js [rows in millions]
import type { Expr } from '../pushdown/expr/expr.js';
import type { Aggregate, PlanOp } from '../pushdown/plan/plan.js';
import { compileKernel } from '../pushdown/runtime/kernel-module.js';
import { KernelInstance } from '../pushdown/runtime/kernel.js';
import type { LogicalType } from '../pushdown/types/logical.js';
import type { Column, DatasetSchema } from '../pushdown/types/schema.js';
import { compilePlan } from '../pushdown/wasm/compile-plan.js';

const rows = Math.round(Number(process.argv[2] ?? 6) * 1e6);
const groupRows = 131_072;
const groups = Math.ceil(rows / groupRows);

interface Generated {
  readonly column: Column;
  readonly bytes: number;
  readonly value: (random: () => number, row: number) => number;
}

const decimal: LogicalType = { kind: 'decimal', precision: 15, scale: 2 };
const exact = (name: string, type: LogicalType, physical: 'i8' | 'i16' | 'i32', min: number, max: number): Generated => ({
  column: { name, type, physical, nullable: false, min: BigInt(min), max: BigInt(max) },
  bytes: { i8: 1, i16: 2, i32: 4 }[physical],
  value: (random) => min + Math.floor(random() * (max - min + 1)),
});
const flags: Generated = {
  column: { name: 'l_returnflag', type: { kind: 'utf8' }, physical: 'dict8', nullable: false, min: 0n, max: 2n, dictionary: ['A', 'N', 'R'] },
  bytes: 1,
  value: (random) => Math.floor(random() * 3),
};
const status: Generated = { ...flags, column: { ...flags.column, name: 'l_linestatus', max: 1n, dictionary: ['F', 'O'] }, value: (random) => Math.floor(random() * 2) };
const generated: readonly Generated[] = [
  exact('l_orderkey', { kind: 'int64' }, 'i32', 1, 6_000_000),
  exact('l_quantity', decimal, 'i16', 100, 5000),
  exact('l_extendedprice', decimal, 'i32', 90_000, 10_494_950),
  exact('l_discount', decimal, 'i8', 0, 10),
  exact('l_tax', decimal, 'i8', 0, 8),
  exact('l_shipdate', { kind: 'date' }, 'i16', 8036, 10_561),
  flags,
  status,
];
const schema: DatasetSchema = { name: 'lineitem', columns: generated.map((g) => g.column), rows, rowGroups: groups, rowGroupRowsMax: groupRows };

const column = (name: string): Expr => ({ kind: 'column', name });
const literal = (value: bigint, type: LogicalType): Expr => ({ kind: 'literal', value, type });
const compare = (op: 'lt' | 'le' | 'ge', name: string, value: bigint, type: LogicalType): Expr => ({ kind: 'compare', op, left: column(name), right: literal(value, type) });
const date: LogicalType = { kind: 'date' };
const two: LogicalType = { kind: 'decimal', precision: 4, scale: 2 };

const q6: PlanOp[] = [
  {
    kind: 'filter',
    predicate: {
      kind: 'and',
      args: [
        compare('ge', 'l_shipdate', 8766n, date),
        compare('lt', 'l_shipdate', 9131n, date),
        { kind: 'between', arg: column('l_discount'), low: literal(5n, two), high: literal(7n, two) },
        compare('lt', 'l_quantity', 2400n, two),
      ],
    },
  },
  { kind: 'aggregate', groupBy: [], aggregates: [{ name: 'revenue', fn: 'sum', arg: { kind: 'arith', op: 'mul', left: column('l_extendedprice'), right: column('l_discount') } }] },
];

function q1(): PlanOp[] {
  const one = literal(1n, { kind: 'int32' });
  const discounted: Expr = { kind: 'arith', op: 'mul', left: column('l_extendedprice'), right: { kind: 'arith', op: 'sub', left: one, right: column('l_discount') } };
  const charge: Expr = { kind: 'arith', op: 'mul', left: discounted, right: { kind: 'arith', op: 'add', left: one, right: column('l_tax') } };
  const of = (fn: 'sum' | 'avg', name: string, arg: Expr): Aggregate => ({ name, fn, arg });
  return [
    { kind: 'filter', predicate: compare('le', 'l_shipdate', 10_471n, date) },
    {
      kind: 'aggregate',
      groupBy: ['l_returnflag', 'l_linestatus'].map((name) => ({ name, expr: column(name) })),
      aggregates: [
        of('sum', 'sum_qty', column('l_quantity')), of('sum', 'sum_base_price', column('l_extendedprice')), of('sum', 'sum_disc_price', discounted), of('sum', 'sum_charge', charge),
        of('avg', 'avg_qty', column('l_quantity')), of('avg', 'avg_price', column('l_extendedprice')), of('avg', 'avg_disc', column('l_discount')), { name: 'count_order', fn: 'count' },
      ],
    },
  ];
}

const filter = (share: number): PlanOp[] => [
  { kind: 'filter', predicate: compare('le', 'l_extendedprice', BigInt(Math.round(90_000 + share * (10_494_950 - 90_000))), decimal) },
  { kind: 'project', columns: ['l_orderkey', 'l_quantity', 'l_extendedprice', 'l_shipdate'].map((name) => ({ name, expr: column(name) })) },
];

const transform: PlanOp[] = [
  {
    kind: 'project',
    columns: [
      { name: 'price', expr: { kind: 'cast', arg: { kind: 'log1p', arg: column('l_extendedprice') }, type: { kind: 'float32' } } },
      { name: 'quantity', expr: { kind: 'cast', arg: { kind: 'clamp', arg: column('l_quantity'), low: literal(500n, decimal), high: literal(4000n, decimal) }, type: { kind: 'float32' } } },
      { name: 'bucket', expr: { kind: 'cast', arg: { kind: 'bucketize', arg: column('l_quantity'), boundaries: [10, 20, 30, 40] }, type: { kind: 'float32' } } },
    ],
  },
];

function measure(name: string, ops: readonly PlanOp[]): void {
  const started = performance.now();
  const { scan, rest } = compilePlan({ dataset: 'lineitem', ops }, schema);
  const emitted = performance.now();
  const kernel = compileKernel(scan.wasm);
  const compiled = performance.now();
  if (rest.length > 0) throw new Error(`${name}: ${rest.length} operators are left to the host`);
  const inputs = scan.inputColumns.map((i) => generated[i]!);
  const stride = inputs.map((g) => Math.ceil((groupRows * g.bytes) / 4096) * 4096);
  const groupBytes = stride.reduce((a, b) => a + b, 0);
  const instance = new KernelInstance(kernel, { windowBytes: groupBytes * groups, inputColumns: inputs.length });
  const memory = new DataView(instance.memory.buffer);
  let seed = 42;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const morsels = Array.from({ length: groups }, (_, g) => {
    let at = instance.windowAddress + g * groupBytes;
    const count = Math.min(groupRows, rows - g * groupRows);
    const columns = inputs.map((input, c) => {
      const data = at;
      at += stride[c]!;
      for (let i = 0; i < count; i++) {
        const value = input.value(random, g * groupRows + i);
        if (input.bytes === 1) memory.setInt8(data + i, value);
        else if (input.bytes === 2) memory.setInt16(data + i * 2, value, true);
        else memory.setInt32(data + i * 4, value, true);
      }
      return { validity: 0, offsets: 0, data, nullCount: 0 };
    });
    return { count, columns };
  });
  const times: number[] = [];
  let out = 0;
  for (let run = 0; run < 15; run++) {
    out = 0;
    // CPU time: on a busy machine only it says how fast the code is.
    const start = process.cpuUsage();
    for (const { count, columns } of morsels) for (const batch of instance.runMorsel(count, columns)) out += batch.rows;
    const used = process.cpuUsage(start);
    times.push((used.user + used.system) / 1000);
  }
  times.sort((a, b) => a - b);
  const [best, median] = [times[0]!, times[7]!];
  const bytes = inputs.reduce((sum, g) => sum + g.bytes, 0) * rows;
  console.log(`${name.padEnd(22)} ${median.toFixed(2).padStart(7)} ms CPU median ${best.toFixed(2).padStart(7)} best ${(bytes / best / 1e6).toFixed(1).padStart(6)} GB/s  rows out ${out}  emit ${(emitted - started).toFixed(2)} compile ${(compiled - emitted).toFixed(2)} ms, ${scan.wasm.length} B`);
}

measure('Q6', q6);
for (const share of [0.001, 0.01, 0.1, 0.5]) measure(`filter ${share * 100} %`, filter(share));
measure('Q1', q1());
measure('transform', transform);
