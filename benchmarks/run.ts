import { writeFileSync } from 'node:fs';
import type { Benchmark } from './harness/benchmark.js';
import { printReport, report, writeReport } from './harness/report.js';
import { reportSvg } from './harness/svg.js';

/** Every benchmark by name, loaded when asked for. */
const benchmarks: Record<string, () => Promise<Benchmark>> = {
  scan: async () => (await import('./scan.js')).scan,
  ingest: async () => (await import('./ingest.js')).ingest,
  auto: async () => (await import('./auto.js')).auto,
  kv: async () => (await import('./kv.js')).kv,
  kernels: async () => (await import('./kernels.js')).kernels,
  load: async () => (await import('./load.js')).load,
  queue: async () => (await import('./queue.js')).queue,
  model: async () => (await import('./model.js')).model,
  memory: async () => (await import('./memory.js')).memory,
  'queue-tcp': async () => (await import('./queue-tcp.js')).queueTcp,
  slots: async () => (await import('./slots.js')).slots,
};

const args = process.argv.slice(2);
const option = (name: string) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
const names = args.filter((a, i) => !a.startsWith('--') && !['--json', '--svg'].includes(args[i - 1] ?? ''));

if (args.includes('--list') || names.length === 0) {
  for (const [name, load] of Object.entries(benchmarks)) console.log(`${name.padEnd(10)} ${(await load()).question}`);
  process.exit(args.includes('--list') ? 0 : 2);
}
for (const name of names) {
  const load = benchmarks[name];
  if (!load) {
    console.error(`No benchmark is called '${name}'; --list names them.`);
    process.exit(2);
  }
  const bench = await load();
  const quick = args.includes('--quick');
  const result = report(bench.name, bench.question, quick, await bench.run({ quick, log: (line) => console.error(line) }));
  printReport(result);
  const json = option('--json');
  if (json) writeReport(result, json);
  const svg = option('--svg');
  if (svg) writeFileSync(svg, reportSvg(result, bench));
}
