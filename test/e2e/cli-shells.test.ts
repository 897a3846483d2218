// doctor, and completions as a shell runs them.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cliScript, runCli, userNode } from './cli-process.js';

interface Diagnosis { readonly runs: boolean; readonly checks: readonly { readonly name: string; readonly state: string; readonly found: string; readonly cost?: string }[] }

let dir: string;
beforeAll(() => { dir = mkdtempSync(join(tmpdir(), 'millrace-cli-shells-')); });
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('doctor', () => {
  const closedUrl = 'http://127.0.0.1:1';
  test('answers every question without a daemon', async () => {
    const { code, text } = await runCli(['doctor', '--dir', dir, '--url', closedUrl]);
    const { runs, checks } = JSON.parse(text) as Diagnosis;
    expect([code, runs]).toEqual([0, true]);
    for (const name of ['millrace', 'node', 'node of daemon and slots', 'addon', 'slot addon', 'slot launcher', 'duckdb', 'seccomp', 'namespaces', 'cgroups', 'landlock', 'huge pages', 'clock', 'disk', 'daemon', 'port']) expect(checks.map((c) => c.name)).toContain(name);
    for (const check of checks) if (check.state !== 'ok') expect(check.cost, check.name).toMatch(/\w/);
    expect(checks.find((c) => c.name === 'duckdb')?.found).toMatch(/^v\d/);
  });
  test('a port that another server has, and a folder that is not there', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { code, text } = await runCli(['doctor', '--dir', join(dir, 'absent'), '--url', `http://127.0.0.1:${port}`]);
    server.close();
    const { runs, checks } = JSON.parse(text) as Diagnosis;
    expect([code, runs]).toEqual([1, false]);
    expect(checks.find((c) => c.name === 'daemon')).toMatchObject({ state: 'degraded', found: expect.stringContaining('MR_HTTP') });
    expect(checks.find((c) => c.name === 'disk')).toMatchObject({ state: 'broken' });
  });
  test('a table for people', async () => {
    expect((await runCli(['doctor', '-o', 'table', '--url', closedUrl])).text).toMatch(/\[ ok ] node .*\n(?:.*\n)*Millrace runs here/);
  });
});

describe('completion', () => {
  test('bash completes commands, options, choices and files', async () => {
    const script = join(dir, 'millrace.bash');
    writeFileSync(script, (await runCli(['completion', 'bash'])).text);
    writeFileSync(join(dir, 'trips.parquet'), '');
    const complete = (...words: string[]) => execFileSync('bash', ['--norc', '-c', `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`, script, ...words], { encoding: 'utf8', cwd: dir }).trim().split('\n');
    expect(complete('millrace', 'de')).toEqual(['describe']);
    expect(complete('millrace', '')).toEqual(expect.arrayContaining(['serve', 'put', 'sql', 'doctor', 'completion']));
    expect(complete('millrace', 'sql', '--dr')).toEqual(['--dry-run']);
    expect(complete('millrace', 'sql', '-o', 'p')).toEqual(['parquet']);
    expect(complete('millrace', 'sql', '--pushdown', '')).toEqual(['auto', 'always', 'never']);
    expect(complete('millrace', 'put', 'tri')).toEqual(['trips.parquet']);
    expect(complete('millrace', 'kernel', '')).toEqual(['init', 'build', 'test', 'push', 'run', 'ls', 'rm', '--help']);
    expect(complete('millrace', 'kernel', 'init', '--lang', '')).toEqual(['assemblyscript', 'c', 'rust']);
    expect(complete('millrace', 'tenant', 'set', '--cpu')).toEqual(['--cpu-percent']);
    expect(complete('millrace', 'completion', '')).toEqual(['bash', 'zsh', 'fish']);
    // `rm` of kernels is another than `rm` of datasets.
    expect(complete('millrace', 'kernel', 'rm', '--tr')).toEqual(['--transport']);
    expect(complete('millrace', 'token', 'rm', '--')).toEqual(['--dir', '--help']);
  });
  test.each(['zsh', 'fish'])('%s: every command is in it, and the shell takes it where it is installed', async (shell) => {
    const { code, text } = await runCli(['completion', shell]);
    expect(code).toBe(0);
    const help = execFileSync(userNode, [cliScript, '--help'], { encoding: 'utf8' });
    const commands = [...help.matchAll(/^ {2}([a-z]+) /gm)].map((m) => m[1] ?? '').filter((name) => name !== 'help');
    expect(commands.length).toBeGreaterThan(8);
    for (const name of commands) expect(text).toContain(name);
    const script = join(dir, `checked.${shell}`);
    writeFileSync(script, text);
    const checked = spawnSync(shell, [shell === 'zsh' ? '-n' : '--no-execute', script], { encoding: 'utf8' });
    if (checked.error) console.log(`${shell} is not installed: its script was not run`);
    else expect(checked).toMatchObject({ status: 0, stderr: '' });
  });
  test('fish completes commands in groups, options and choices', () => {
    const script = join(dir, 'millrace.fish');
    writeFileSync(script, execFileSync(userNode, [cliScript, 'completion', 'fish']));
    const complete = (line: string) => spawnSync('fish', ['--no-config', '-c', `function millrace; end; source ${script}; complete -C '${line}'`], { encoding: 'utf8', cwd: dir });
    const found = complete('millrace kernel ');
    if (found.error) return console.log('fish is not installed: its script was not run');
    const wordsOf = (line: string) => complete(line).stdout.trim().split('\n').map((each) => each.split('\t')[0]);
    expect(wordsOf('millrace kernel ').sort()).toEqual(['build', 'init', 'ls', 'push', 'rm', 'run', 'test']);
    expect(wordsOf('millrace de')).toEqual(['describe']);
    expect(wordsOf('millrace sql --dr')).toEqual(['--dry-run']);
    expect(wordsOf('millrace sql -o p')).toEqual(['parquet']);
    expect(wordsOf('millrace kernel init --lang ').sort()).toEqual(['assemblyscript', 'c', 'rust']);
    expect(wordsOf('millrace token rm --').sort()).toEqual(['--dir']);
  });
  test('another shell is a usage error', async () => {
    expect((await runCli(['completion', 'cmd'])).code).toBe(2);
  });
});
