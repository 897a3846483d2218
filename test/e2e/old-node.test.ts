import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../clients/node/index.js';
import { packageRoot } from '../../native/index.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { flightsPath } from './flights.js';

// The user's own Node, which may be older than the pinned one the daemon and these tests run on.
const users = spawnSync('node', ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout.trim();

let daemon: DaemonProcess;
beforeAll(async () => {
  daemon = await startDaemonProcess();
  const client = await connect(daemon.url);
  await client.put('flights', flightsPath);
  await client.close();
});
afterAll(() => daemon.dispose());

describe(`the client on the user's Node (${users})`, () => {
  it.each(['http', 'shm'])('pushes, pulls and does both over %s', (transport) => {
    const script = `
      import { connect, col, count } from 'millrace';
      const client = await connect({ url: ${JSON.stringify(daemon.url)}, transport: ${JSON.stringify(transport)} });
      const query = client.dataset('flights').filter(col('delay').gt(60)).groupBy('origin').agg({ n: count() }).topK(3, col('n').desc(), 'origin');
      const rows = [];
      for (const pushdown of ['never', 'always', 'auto']) rows.push((await query.collect({ pushdown })).toRows().map((row) => ({ ...row, n: String(row.n) })));
      console.log(JSON.stringify({ node: process.versions.node, rows }));
      await client.close();`;
    const { stdout, stderr, status } = spawnSync('node', ['--input-type=module', '-e', script], { cwd: packageRoot, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const answer = JSON.parse(stdout) as { node: string; rows: unknown[] };
    expect(answer.node).toBe(users);
    expect(answer.rows[0]).toHaveLength(3);
    expect(answer.rows[1]).toEqual(answer.rows[0]);
    expect(answer.rows[2]).toEqual(answer.rows[0]);
  });
});
