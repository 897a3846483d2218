import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasClang, hasRust, sayMissing } from '../kernels/toolchain.js';
import { runCli } from './cli-process.js';
import { type DaemonProcess, startDaemonProcess } from './daemon-process.js';
import { flightsPath } from './flights.js';

sayMissing('cli-kernel.test.ts');

let daemon: DaemonProcess;
let dir: string;
const cli = (args: readonly string[], input = '') => runCli(args, { cwd: dir, input, env: { MILLRACE_URL: daemon.url } });
const ok = async (args: readonly string[], input = '') => {
  const ran = await cli(args, input);
  expect(ran.err + ran.code, args.join(' ')).toMatch(/0$/);
  return ran;
};
const objects = (text: string) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-kernel-cli-'));
  daemon = await startDaemonProcess();
  await ok(['put', flightsPath, '--name', 'flights']);
});
afterAll(async () => {
  await daemon.dispose();
  rmSync(dir, { recursive: true, force: true });
});

describe.each([['assemblyscript', true], ['c', hasClang], ['rust', hasRust]] as const)('a kernel in %s', (lang, there) => {
  it.skipIf(!there)('is made, built, tested, pushed and run everywhere with one digest', async () => {
    const name = `my_${lang}`;
    // What it says to do next is done, from where it was said.
    const hint = /^made (\S+): millrace (kernel test \S+) /.exec((await ok(['kernel', 'init', name, '--lang', lang])).err);
    expect(hint?.slice(1)).toEqual([`${name}/`, `kernel test ${name}`]);
    expect((await ok((hint?.[2] ?? '').split(' '))).text).toBe(`${name}: 4 cases passed\n`);
    expect((await ok(['kernel', 'push', name])).err).toMatch(new RegExp(`^pushed ${name}: .* sha256 [0-9a-f]{64}\n$`));
    const what = (await ok(['kernel', 'ls', name, '-o', 'table'])).text;
    expect(what).toContain('keep(float64, float64) -> bool');
    expect(what).toMatch(/takes +text utf8\ngives +text utf8, length int32/);
    // A function in SQL, a kernel over a dataset in each place, and over rows that are no dataset.
    const counted = await ok(['sql', `SELECT count(*) AS n FROM flights WHERE ${name}(delay, distance)`]);
    expect(objects(counted.text)).toEqual(objects((await ok(['sql', 'SELECT count(*) AS n FROM flights WHERE delay > distance'])).text));
    const runs = [];
    for (const pushdown of ['never', 'always', 'auto']) {
      const ran = await ok(['kernel', 'run', 'flights', '--kernel', name, '--columns', 'origin', '--where', 'delay > 900', '--param', 'least=3', '--pushdown', pushdown, '--stats']);
      runs.push({ rows: objects(ran.text), digest: /sha256 ([0-9a-f]{64})/.exec(ran.err)?.[1] });
    }
    expect(runs[0]!.rows.length).toBeGreaterThan(0);
    expect(runs[0]!.rows[0]).toMatchObject({ length: 3 });
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
    expect(objects((await ok(['kernel', 'run', '--kernel', name, '--input', '-', '--param', 'least=6'], '{"text":"größer"}\n{"text":"no"}\n{"text":null}\n')).text)).toEqual([{ text: 'größer', length: 6 }]);
    await ok(['kernel', 'rm', name]);
    expect((await cli(['kernel', 'ls', name])).code).not.toBe(0);
  });
});

describe('millrace kernel', () => {
  it('takes lines, NDJSON and Arrow from files and stdin, without a daemon', async () => {
    await ok(['kernel', 'init', 'loose']);
    writeFileSync(join(dir, 'lines.log'), 'a line\nanother line\n');
    writeFileSync(join(dir, 'rows.arrow'), tableToIPC(tableFromArrays({ text: ['a line', 'another line'] })));
    const expected = [{ text: 'a line', length: 6 }, { text: 'another line', length: 12 }];
    const local = (args: readonly string[]) => runCli(['kernel', 'run', '--kernel', 'loose', ...args], { cwd: dir, env: { MILLRACE_URL: 'http://127.0.0.1:1' } });
    expect(objects((await local(['--input', 'lines.log'])).text)).toEqual(expected);
    expect(objects((await local(['--input', 'rows.arrow'])).text)).toEqual(expected);
    expect((await runCli(['kernel', 'run', '--kernel', 'loose', '--input', '-', '--format', 'raw', '-o', 'csv'], { cwd: dir, input: 'xyz\n' })).text).toBe('text,length\r\nxyz,3\r\n');
  });

  it('runs the project it stands in, without a push', async () => {
    const ran = await runCli(['kernel', 'run', 'flights', '--columns', 'origin', '--where', 'delay > 1000'], { cwd: join(dir, 'loose'), env: { MILLRACE_URL: daemon.url } });
    expect(objects(ran.text)[0]).toMatchObject({ length: 3 });
  });

  it('says what is wrong', async () => {
    const fails = async (args: readonly string[], code: string, input = '') => expect((await cli(args, input)).err, args.join(' ')).toContain(code);
    await fails(['kernel', 'init', 'loose'], 'MR_KERNEL_PROJECT');
    await fails(['kernel', 'init', 'no-name'], 'MR_KERNEL_PROJECT');
    await fails(['kernel', 'build', 'nowhere'], 'MR_KERNEL_PROJECT');
    await fails(['kernel', 'run', 'flights', '--kernel', 'nobody'], 'MR_KERNEL_NOT_FOUND');
    await fails(['kernel', 'run', '--kernel', 'loose', '--input', '-'], 'MR_KERNEL_INPUT', 'no json\n');
    await fails(['kernel', 'run'], 'MR_USAGE');
    const source = join(dir, 'loose/kernel.ts');
    writeFileSync(source, `${readFileSync(source, 'utf8')}\nexport function wrong(): string { return 1; }\n`);
    await fails(['kernel', 'build', 'loose'], 'MR_KERNEL_BUILD');
    writeFileSync(join(dir, 'loose/test/kernel.json'), JSON.stringify([{ call: 'keep', args: [1, 2], expect: true }]));
    writeFileSync(source, readFileSync(source, 'utf8').replace(/\nexport function wrong.*\n/, ''));
    const failed = await cli(['kernel', 'test', 'loose']);
    expect(failed.err).toContain('MR_KERNEL_TEST');
    expect(failed.err).toMatch(/expected \[\[true\]\]\n {2}but got {2}\[\[false\]\]/);
  });
});
