// README.md is what people type: every command and code block of it runs here, in a folder that looks like a fresh clone after
// `npm ci`. In a clone npx first links the package into its cache and runs its install script, which is no
// business of a test that shares its build with others: the commands run the file npx would run.
// Exempt are `npm ci` and `npm run demo` (.ci/run runs them itself) and `npm test` (this is it).
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../native/index.js';
import { userNode } from './cli-process.js';

const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
const exempt = /^npm (ci|test|run demo)\b/;
const isCommand = (text: string) => /^(npm|npx|node|millrace|git|curl|python3) /.test(text);

interface Block { readonly language: string; readonly lines: readonly string[] }

/** Fenced and indented blocks, in order. */
function blocksOf(markdown: string): Block[] {
  const blocks: { language: string; lines: string[] }[] = [];
  let open: { language: string; lines: string[] } | undefined;
  let fenced = false;
  for (const line of markdown.split('\n')) {
    const fence = /^```(\w*)/.exec(line);
    if (fence) {
      fenced = !fenced;
      open = fenced ? { language: fence[1] ?? '', lines: [] } : undefined;
      if (open) blocks.push(open);
    } else if (fenced) open?.lines.push(line);
    else if (/^ {4}\S/.test(line)) {
      if (!open) blocks.push((open = { language: 'indented', lines: [] }));
      open.lines.push(line.slice(4));
    } else open = undefined;
  }
  return blocks;
}

const blocks = blocksOf(readme);
const commands = blocks.filter((b) => b.language === 'indented' || b.language === 'sh' || b.language === 'bash').flatMap((b) => b.lines.map((line) => line.replace(/\s+#.*$/, ''))).filter((line) => !exempt.test(line));
const programs = blocks.filter((b) => /^(ts|js|typescript|javascript)$/.test(b.language)).map((b) => b.lines.join('\n'));
const inline = [...readme.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map((m) => m[1] ?? '').filter((text) => isCommand(text) && !exempt.test(text));

let dir: string;
let port: number;
const servers: ChildProcess[] = [];

const here = (text: string) => text.replaceAll('4433', String(port)).replace(/^(npx )?millrace\b/, `'${userNode}' ./dist/clients/cli/main.js`);
const start = (command: string) => spawn('bash', ['-c', here(command)], { cwd: dir, stdio: 'pipe', env: { ...process.env, MILLRACE_URL: `http://127.0.0.1:${port}` }, detached: true });

function run(command: string): Promise<{ code: number | null; out: string; err: string }> {
  const child = start(command);
  child.stdin.end();
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text; });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { err += text; });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err })));
}

/** A server runs until the test ends it; it is up when it says so on stdout. */
async function serve(command: string): Promise<ChildProcess> {
  const child = start(command);
  servers.push(child);
  await new Promise<void>((resolve, reject) => {
    let err = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { err += text; });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => { if (text.includes('"url"')) resolve(); });
    child.once('close', (code) => reject(new Error(`${command} ended with ${code}: ${err}`)));
  });
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const closed = new Promise((resolve) => child.once('close', resolve));
  process.kill(-child.pid, 'SIGTERM');
  await closed;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const found = (server.address() as { port: number }).port;
  await new Promise((resolve) => server.close(resolve));
  return found;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-readme-'));
  for (const name of readdirSync(packageRoot)) if (!['.git', 'data'].includes(name)) symlinkSync(join(packageRoot, name), join(dir, name));
  port = await freePort();
});
afterAll(async () => {
  for (const child of servers) await end(child);
  rmSync(dir, { recursive: true, force: true });
});

describe('README.md', () => {
  test('has commands and a program', () => {
    expect(commands.length).toBeGreaterThanOrEqual(5);
    expect(commands.filter((c) => !isCommand(c))).toEqual([]);
    expect(programs.length).toBeGreaterThanOrEqual(1);
  });

  test('its commands, in order', { timeout: 240_000 }, async () => {
    for (const command of commands) {
      if (/&\s*$/.test(command)) await serve(command.replace(/&\s*$/, ''));
      else expect({ command, ...(await run(command)) }).toMatchObject({ command, code: 0 });
    }
  });

  test('its programs, on the server its commands started', async () => {
    for (const [i, program] of programs.entries()) {
      const file = `readme-${i}.mjs`;
      writeFileSync(join(dir, file), here(program));
      const ran = await run(`'${userNode}' ${file}`);
      expect(ran).toMatchObject({ code: 0, err: '' });
      expect(ran.out).toMatch(/origin: '[A-Z]{3}'/);
    }
  });

  test('the commands its sentences name', { timeout: 120_000 }, async () => {
    for (const command of inline) {
      if (/\bserve\b/.test(command)) await end(await serve(`${/--dir\b/.test(command) ? command : `${command} --dir ./other`} --port 0`));
      else expect({ command, ...(await run(command)) }).toMatchObject({ command, code: 0 });
    }
  });

  test('the files it points to', () => {
    const links = [...readme.matchAll(/\]\(([^)#]+)/g)].map((m) => m[1] ?? '').filter((link) => !/^https?:/.test(link));
    expect(links.filter((link) => !existsSync(join(packageRoot, link)))).toEqual([]);
  });
});
