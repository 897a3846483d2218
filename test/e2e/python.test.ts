import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../clients/node/index.js';
import { packageRoot } from '../../native/index.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { duckRows, flightsPath } from './flights.js';

const script = join(packageRoot, 'docs/examples/query.py');
const reader = join(packageRoot, 'test/e2e/python/arrow_ipc.py');
const dir = mkdtempSync(join(tmpdir(), 'millrace-python-'));

let daemon: DaemonProcess;
beforeAll(async () => {
  daemon = await startDaemonProcess();
  const client = await connect({ url: daemon.url, transport: 'http' });
  await client.put('flights', flightsPath);
  await client.close();
});
afterAll(async () => {
  await daemon.dispose();
  rmSync(dir, { recursive: true, force: true });
});

/** Python 3 is what builds the addon, so it is there. The example must not need more than its standard library: -S -E -s. */
function python(args: readonly string[]): { status: number | null; out: string; err: string } {
  const { status, stdout, stderr, error } = spawnSync('python3', ['-S', '-E', '-s', ...args], { encoding: 'utf8', maxBuffer: 64 << 20 });
  if (error) throw error;
  return { status, out: stdout, err: stderr };
}

interface Read { readonly columns: readonly (readonly [string, string, boolean])[]; readonly batches: number; readonly rows: readonly (readonly (string | number | null)[])[] }

function readArrow(path: string): Read {
  const { status, out, err } = python([reader, path]);
  expect(err).toBe('');
  expect(status).toBe(0);
  return JSON.parse(out) as Read;
}

/** DuckDB's own text of every value; floats as numbers. */
async function truthOf(sql: string, columns: Read['columns']): Promise<(string | number | null)[][]> {
  return (await duckRows(`SELECT COLUMNS(*)::VARCHAR FROM (${sql}) t`)).map((row) => row.map((value, i) => (value !== null && columns[i]?.[1].startsWith('float') ? Number(value) : value)));
}

describe('the Arrow stream of POST /v1/sql, fetched by docs/examples/query.py, read by an independent reader', () => {
  it.each([
    ['every type SQL over flights has', 'SELECT date, delay, distance, origin, destination, distance::DOUBLE / 3 AS third, distance::FLOAT / 8 AS eighth, (delay::DECIMAL(9,2) / 1)::DECIMAL(12,2) AS cents, delay > 10 AS late, date::DATE AS day, CASE WHEN delay > 650 THEN origin END AS worst, CASE WHEN delay > 650 THEN delay END AS most, (distance % 100)::TINYINT AS tiny, (distance % 1000)::SMALLINT AS small, distance::INTEGER AS middle FROM flights WHERE delay > 600 ORDER BY date, origin, destination, delay', ['utf8', 'int64', 'float64', 'float32', 'decimal(12,2)', 'bool', 'date', 'timestamp']],
    ['groups', 'SELECT origin, count(*) AS n, sum(delay) AS total, min(date) AS first, avg(distance) AS mean FROM flights GROUP BY origin ORDER BY origin', ['utf8', 'int64', 'float64']],
    ['many batches in the order of the rows', 'SELECT delay, origin FROM flights WHERE distance BETWEEN 300 AND 305', ['utf8', 'int64']],
    ['nothing', 'SELECT date, origin, delay FROM flights WHERE delay > 100000', ['utf8', 'int64', 'timestamp']],
  ] as const)('%s', async (_name, sql, must) => {
    for (const pushdown of ['always', 'never']) {
      const file = join(dir, `${pushdown}.arrows`);
      const fetched = python([script, '--url', daemon.url, '--pushdown', pushdown, '--arrow', file, sql]);
      expect(fetched).toMatchObject({ status: 0, err: '' });
      const read = readArrow(file);
      const types = new Set(read.columns.map(([, type]) => type));
      for (const type of must) expect(types).toContain(type);
      const truth = await truthOf(sql, read.columns);
      expect(read.rows.length).toBe(truth.length);
      for (const [i, row] of read.rows.entries()) expect(row, `row ${i}`).toEqual(truth[i]);
    }
  });

  it('is refused by the reader when a byte of its structure is gone', () => {
    const whole = readFileSync(join(dir, 'always.arrows'));
    const cut = join(dir, 'cut.arrows');
    for (const bytes of [whole.subarray(0, whole.length - 8), whole.subarray(0, whole.length - 1), whole.subarray(1)]) {
      writeFileSync(cut, bytes);
      expect(python([reader, cut]).status).not.toBe(0);
    }
  });
});

describe('docs/examples/query.py', () => {
  const sql = 'SELECT origin, count(*) AS n, avg(delay)::DECIMAL(12,4) AS late FROM flights GROUP BY origin ORDER BY n DESC, origin LIMIT 3';

  it('prints rows as JSON and the summary apart', async () => {
    const { status, out, err } = python([script, '--url', `${daemon.url}/`, sql]);
    expect(status).toBe(0);
    const rows = out.trim().split('\n').map((line) => Object.values(JSON.parse(line) as Record<string, unknown>).map(String));
    expect(rows).toEqual(await duckRows(`SELECT COLUMNS(*)::VARCHAR FROM (${sql}) t`));
    expect(JSON.parse(err)).toMatchObject({ rows: 3, rowsScanned: 3_000_000 });
  });

  it('says what the daemon said, in one line, with exit code 1', () => {
    const wrong = python([script, '--url', daemon.url, 'SELECT delay FORM flights']);
    expect(wrong).toMatchObject({ status: 1, out: '' });
    expect(wrong.err).toMatch(/^MR_SQL_\w+: .* \(at \d+\)\n$/s);
    const nobody = python([script, '--url', 'http://127.0.0.1:9', 'SELECT 1']);
    expect(nobody.status).toBe(1);
    expect(nobody.err).toMatch(/^MR_CONNECT: /);
    expect(python([script]).status).toBe(2);
  });

  it('reads the stream with pyarrow where that is installed, and says so where not', () => {
    const installed = spawnSync('python3', ['-c', 'import pyarrow']).status === 0;
    const { status, stdout, stderr } = spawnSync('python3', [script, '--url', daemon.url, '--pyarrow', sql], { encoding: 'utf8' });
    if (installed) expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining('origin') });
    else expect({ status, stderr }).toEqual({ status: 1, stderr: 'pyarrow is not installed: pip install pyarrow, or use --arrow FILE.\n' });
  });
});
