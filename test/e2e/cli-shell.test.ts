// The shell behind `millrace sql`, on a terminal and in a pipe.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DuckDBInstance } from '@duckdb/node-api';
import { cliScript, runCli, userNode } from './cli-process.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { type Step, onTerminal } from './terminal.js';

let dir: string;
let daemon: DaemonProcess;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-cli-shell-'));
  const duck = await (await DuckDBInstance.create(':memory:')).connect();
  await duck.run(`COPY (SELECT range::INTEGER AS id FROM range(5000)) TO '${join(dir, 'ids.parquet')}' (FORMAT parquet)`);
  duck.closeSync();
  daemon = await startDaemonProcess();
  expect(await runCli(['put', join(dir, 'ids.parquet')], { env: { MILLRACE_URL: daemon.url } })).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await daemon?.dispose();
  rmSync(dir, { recursive: true, force: true });
});

describe('in a pipe', () => {
  const piped = (input: string) => runCli(['sql'], { input, env: { MILLRACE_URL: daemon.url } });
  test('statements one after the other, NDJSON out', async () => {
    expect(await piped("select 1 x;\nselect ';' s,\n count(*) n from ids; -- the end;\n\\q\nselect 3 never;")).toMatchObject({ code: 0, text: '{"x":1}\n{"s":";","n":5000}\n', err: '' });
  });
  test('the last one needs no semicolon', async () => {
    expect(await piped('select max(id) m\nfrom ids')).toMatchObject({ code: 0, text: '{"m":4999}\n' });
  });
  test('the first error ends it, with its place', async () => {
    expect(await piped('select 1 x; select zz from ids; select 3 y;')).toMatchObject({ code: 1, text: '{"x":1}\n', err: expect.stringMatching(/MR_SQL_BIND\)\n.*select zz from ids\n +\^/) });
    expect(await piped('\\nonsense\n')).toMatchObject({ code: 2, err: expect.stringContaining('MR_USAGE') });
  });
});

describe('on a terminal', () => {
  const session = (steps: readonly Step[]) => onTerminal([userNode, cliScript, 'sql'], [{ expect: 'millrace> ' }, ...steps], { MILLRACE_URL: daemon.url, MILLRACE_HISTORY: join(dir, 'state/history') });
  test('several lines, errors, \\d, \\o, and a history that is private and comes back', async () => {
    const { exit, screen } = await session([
      { send: 'select count(*) n\r' }, { expect: '...> ' }, { send: 'from ids;\r' }, { expect: '5000' }, { expect: 'millrace> ' },
      { send: 'select nothing from ids;\r' }, { expect: 'MR_SQL_BIND' }, { expect: 'millrace> ' },
      { send: '\\d ids\r' }, { expect: 'version 1: 5000 rows' }, { expect: 'millrace> ' },
      { send: '\\o json\r' }, { expect: 'millrace> ' }, { send: 'select max(id) m from ids;\r' }, { expect: '{"m":4999}' }, { expect: 'millrace> ' },
      { send: '\\q\r' },
    ]);
    expect(exit).toBe(0);
    expect(screen).toContain('│');
    const history = join(dir, 'state/history');
    expect(readFileSync(history, 'utf8')).toContain('select max(id) m from ids;\n');
    expect(statSync(history).mode & 0o777).toBe(0o600);
    writeFileSync(history, 'select 42 from_history;\n', { mode: 0o600 });
    const again = await session([{ send: '\u001b[A' }, { expect: 'select 42 from_history;' }, { send: '\r' }, { expect: '42' }, { expect: 'millrace> ' }, { send: '\u0004' }]);
    expect(again.exit).toBe(0);
  });
  test('Ctrl-C cancels the running statement and the shell goes on', async () => {
    const { exit } = await session([
      { send: 'select count(*) from ids a, ids b, ids c where a.id + b.id > c.id;\r' }, { expect: 'c.id;' }, { send: '\u0003' }, { expect: 'MR_CANCELLED' }, { expect: 'millrace> ' },
      { send: 'select 6 * 7 answer;\r' }, { expect: '42' }, { expect: 'millrace> ' },
      { send: 'select half' }, { send: '\u0003' }, { expect: 'millrace> ' }, { send: '\\q\r' },
    ]);
    expect(exit).toBe(0);
  });
});
