// What the command line says about datasets: their description, and whether their bytes are still whole.
import { mkdtempSync, openSync, closeSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DatasetDescription } from '../../clients/node/index.js';
import { type RunOptions, runCli } from './cli-process.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';

let dir: string;
let daemon: DaemonProcess;
const run = (args: readonly string[], options: RunOptions = {}) => runCli(args, { ...options, env: { MILLRACE_URL: daemon.url, ...options.env } });

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-cli-datasets-'));
  const duck = await (await DuckDBInstance.create(':memory:')).connect();
  const sql = `SELECT range::INTEGER AS id, CASE WHEN range % 10 = 0 THEN NULL ELSE 'town ' || range % 5 END AS town, (range / 4)::DECIMAL(10,2) AS price, DATE '2001-01-01' + (range // 100)::INTEGER AS day, range::DOUBLE AS half FROM range(3000)`;
  await duck.run(`COPY (${sql}) TO '${join(dir, 'towns.parquet')}' (FORMAT parquet)`);
  duck.closeSync();
  daemon = await startDaemonProcess({ args: ['--row-group-rows', '1024'] });
  expect(await run(['put', join(dir, 'towns.parquet')])).toMatchObject({ code: 0, err: expect.stringContaining('3000 rows') });
});
afterAll(async () => {
  await daemon?.dispose();
  rmSync(dir, { recursive: true, force: true });
});

describe('describe', () => {
  test('schema, physical types, row groups and zone maps as JSON', async () => {
    const { code, text } = await run(['describe', 'towns']);
    expect(code).toBe(0);
    const found = JSON.parse(text) as DatasetDescription;
    expect(found).toMatchObject({ name: 'towns', version: 1, rows: 3000 });
    expect(found.columns.map((c) => `${c.name} ${c.type}`)).toEqual(['id INTEGER', 'town VARCHAR', 'price DECIMAL(10,2)', 'day DATE', 'half DOUBLE'].map((c) => expect.stringContaining(c.split('(')[0] ?? '')));
    expect(found.columns[1]).toMatchObject({ physical: 'dict8', nullable: true, nullCount: 300, dictionaryEntries: 5 });
    expect(found.rowGroups.map((g) => g.rows)).toEqual([1024, 1024, 952]);
    expect(found.rowGroups[1]?.zones.slice(0, 4)).toMatchObject([{ min: '1024', max: '2047' }, { min: 'town 0', max: 'town 4' }, { min: '256.00', max: '511.75' }, { min: '2001-01-11', max: '2001-01-21' }]);
    expect(found.rowGroups.reduce((sum, g) => sum + g.zones.reduce((n, z) => n + z.nullCount, 0), 0)).toBe(300);
  });
  test('a table on request', async () => {
    const { text } = await run(['describe', 'towns', '-o', 'table']);
    for (const part of ['towns, version 1: 3000 rows in 3 row groups', '│ town', 'dict8', '5 values', '2001-01-21']) expect(text).toContain(part);
  });
  test('of nothing', async () => {
    expect(await run(['describe', 'nothing'])).toMatchObject({ code: 1, err: expect.stringContaining('MR_DATASET_NOT_FOUND') });
  });
});

describe('verify', () => {
  test('whole', async () => {
    const { code, text } = await run(['verify', 'towns']);
    expect(code).toBe(0);
    expect(JSON.parse(text)).toMatchObject({ name: 'towns', version: 1, damaged: [] });
  });
  test('of nothing', async () => {
    expect(await run(['verify', 'nothing'])).toMatchObject({ code: 1, err: expect.stringContaining('MR_DATASET_NOT_FOUND') });
  });
  // Last: it spoils the media.
  test('a flipped byte on the media is named', async () => {
    const file = openSync(join(daemon.dir, 'namespace-1'), 'r+');
    writeSync(file, Buffer.from([0xa5]), 0, 1, 0);
    closeSync(file);
    const { code, text, err } = await run(['verify', 'towns']);
    expect(code).toBe(4);
    expect((JSON.parse(text) as { damaged: unknown[] }).damaged).toHaveLength(1);
    expect(err).toContain('MR_DATASET_DAMAGED');
  });
});
