import { connect, col, count, sum } from '../clients/node/index.js';
import type { Benchmark } from './harness/benchmark.js';
import { processTree, startDaemon } from './harness/daemon.js';
import { lineitemFile } from './harness/lineitem-file.js';
import { childrenOf, pssBytes } from './harness/pss.js';
import { limitResult } from './harness/report.js';

const mib = 1 << 20;

/** Proportional set size of daemon and slots: idle with two slots, and while scanning a dataset ten times the device memory. */
export const memory: Benchmark = {
  name: 'memory',
  question: 'How much memory do daemon and slots take, idle and while scanning ten times the device memory?',
  async run({ quick, log }) {
    const slmBytes = 64 * mib;
    const parquet = await lineitemFile(quick ? 600_000 : 12_000_000, log);
    const daemon = await startDaemon(['--slots', '2', '--slm-bytes', String(slmBytes)]);
    const db = await connect({ url: daemon.url, transport: 'http' });
    const pss = () => {
      let own = 0;
      let slm = 0;
      for (const pid of processTree(daemon.process.pid ?? 0, childrenOf)) {
        try {
          const of = pssBytes(pid);
          own += of.own;
          slm += of.slm;
        } catch {
          // ended between listing and reading
        }
      }
      return { own, slm };
    };
    try {
      const idle = pss();
      const info = await db.put('lineitem', parquet);
      const afterPut = pss();
      log(`stored ${(info.storedBytes / mib).toFixed(0)} MiB, device memory ${slmBytes / mib} MiB`);
      const peaks: number[] = [];
      const sampler = setInterval(() => {
        const now = pss();
        peaks.push((now.own + now.slm) / mib);
      }, 20);
      const columns = info.columns.filter((c) => c.type.kind !== 'utf8' && c.type.kind !== 'bool' && c.type.kind !== 'date');
      for (let round = 0; round < (quick ? 2 : 4); round++)
        for (const pushdown of ['always', 'auto', 'never'] as const)
          await db.dataset('lineitem').agg({ n: count(), ...Object.fromEntries(columns.map((c) => [`s_${c.name}`, sum(col(c.name))])), l: count(col('l_comment')) }).collect({ pushdown });
      clearInterval(sampler);
      const grown = Math.max(...peaks) - idle.own / mib;
      return [
        limitResult('daemon and two idle slots, SLM left out', 'PSS', 'MiB', [idle.own / mib], 300e6 / mib),
        limitResult('the same after a load', 'PSS', 'MiB', [afterPut.own / mib], 300e6 / mib),
        limitResult(`scanning ${(info.storedBytes / slmBytes).toFixed(1)} x SLM: more than idle, SLM included`, 'peak PSS', 'MiB', [grown], (slmBytes + 200e6) / mib),
      ];
    } finally {
      await db.close();
      await daemon.stop();
    }
  },
};
