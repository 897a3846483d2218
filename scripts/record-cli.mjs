// node scripts/record-cli.mjs: a real session of the command line on a real terminal, as docs/cli.cast (asciicast v2, for any player) and
// docs/cli.txt (what was on the screen). --check runs the session and writes nothing.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [columns, rows] = [160, 40];
const dir = mkdtempSync(join(tmpdir(), 'millrace-record-'));
const prompt = '$ ';

const commands = [
  'millrace put flights-3m.parquet --name flights',
  'millrace put seattle-weather.csv --name weather --dry-run',
  'millrace put seattle-weather.csv --name weather',
  'millrace ls',
  'millrace sql "SELECT origin, count(*) AS n, avg(delay) AS late FROM flights WHERE distance > 2000 GROUP BY origin ORDER BY n DESC LIMIT 5"',
  "millrace sql --dry-run \"SELECT max(delay) FROM flights WHERE origin = 'SFO' AND date < DATE '2001-02-01'\"",
  "millrace explain --analyze --pushdown always \"SELECT max(delay) FROM flights WHERE origin = 'SFO'\"",
  'millrace sql "SELECT weather, nothing FROM weather"',
  'millrace sql -o csv "SELECT weather, count(*) AS days FROM weather GROUP BY weather ORDER BY days DESC" > days.csv; cat days.csv',
  'millrace verify flights',
];
const shell = [
  { expect: 'millrace> ', type: 'SELECT date, delay\n' },
  { expect: '...> ', type: '  FROM flights ORDER BY delay DESC, date LIMIT 3;\n' },
  { expect: 'millrace> ', pause: 1, type: '\\q\n' },
];

/** Runs `command` on a terminal and resolves with its asciicast events. */
function onTerminal(command, env, steps) {
  const child = spawn('python3', [join(root, 'scripts/terminal.py'), String(columns), String(rows), ...command], { cwd: join(root, 'node_modules/vega-datasets/data'), env, stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text) => { out += text; });
  child.stdin.end(steps.map((step) => `${JSON.stringify(step)}\n`).join(''));
  return new Promise((resolve, reject) => child.once('close', (code) => (code === 0 ? resolve(out.trimEnd().split('\n').slice(0, -1).map((line) => JSON.parse(line))) : reject(new Error(`the session ended with ${code}`)))));
}

/** The lines a terminal would have kept: escapes are obeyed as far as shells and readline use them. */
function screenText(events) {
  const lines = [''];
  let column = 0;
  const put = (c) => {
    const line = lines.at(-1).padEnd(column);
    lines[lines.length - 1] = line.slice(0, column) + c + line.slice(column + 1);
    column++;
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal escapes are what is looked for
  for (const [, numbers, kind, c] of events.map((e) => e[2]).join('').matchAll(/\u001b\[([?\d;]*)([A-Za-z])|([\s\S])/g)) {
    if (kind === 'G') column = Number(numbers || 1) - 1;
    else if (kind === 'C') column += Number(numbers || 1);
    else if (kind === 'D') column = Math.max(0, column - Number(numbers || 1));
    else if (kind === 'J' || kind === 'K') lines[lines.length - 1] = numbers === '2' ? '' : lines.at(-1).slice(0, column);
    else if (kind) continue;
    else if (c === '\r') column = 0;
    else if (c === '\b') column = Math.max(0, column - 1);
    else if (c === '\n') { lines.push(''); column = 0; }
    else if (c >= ' ') put(c);
  }
  return `${lines.map((line) => line.trimEnd()).join('\n').trim()}\n`;
}

const server = spawn(process.execPath, [join(root, 'dist/clients/cli/main.js'), 'serve', '--dir', join(dir, 'data'), '--port', '0', '--slm', '256MiB', '--capacity', '2GiB'], { stdio: ['ignore', 'pipe', 'inherit'] });
try {
  const { url } = await new Promise((resolve, reject) => {
    server.stdout.once('data', (line) => resolve(JSON.parse(String(line).split('\n')[0])));
    server.once('exit', (code) => reject(new Error(`serve ended with ${code}`)));
  });
  const rc = join(dir, 'rc');
  writeFileSync(rc, `PS1='${prompt}'\nmillrace() { '${process.execPath}' '${join(root, 'dist/clients/cli/main.js')}' "$@"; }\ncd "$HOME"\n`);
  const home = join(dir, 'home');
  mkdirSync(home);
  for (const file of ['flights-3m.parquet', 'seattle-weather.csv']) symlinkSync(join(root, 'node_modules/vega-datasets/data', file), join(home, file));
  const env = { PATH: process.env.PATH, HOME: home, LANG: 'C.UTF-8', MILLRACE_URL: url, MILLRACE_HISTORY: join(dir, 'history') };
  const steps = [
    ...commands.flatMap((text) => [{ expect: prompt, pause: 0.8, type: '' }, { type: text }, { send: '\n' }, { expect: '\n' }]),
    { expect: prompt, pause: 0.8 }, { type: 'millrace sql' }, { send: '\n' }, ...shell, { expect: prompt, pause: 0.8 }, { send: 'exit\n' },
  ];
  const events = await onTerminal(['bash', '--noprofile', '--rcfile', rc, '-i'], env, steps);
  const text = screenText(events);
  for (const wanted of ['MR_SQL_BIND', '3000000 rows', 'weather,days', 'all checksums match', 'millrace>']) if (!text.includes(wanted)) throw new Error(`the session does not show '${wanted}':\n${text}`);
  if (!process.argv.includes('--check')) {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const head = { version: 2, width: columns, height: rows, title: `millrace ${version}`, env: { SHELL: '/bin/bash', TERM: 'xterm-256color' } };
    writeFileSync(join(root, 'docs/cli.cast'), [head, ...events].map((line) => `${JSON.stringify(line)}\n`).join(''));
    writeFileSync(join(root, 'docs/cli.txt'), text);
  }
  console.log(`${events.length} events, ${text.split('\n').length} lines`);
} finally {
  const ended = new Promise((resolve) => server.once('exit', resolve));
  if (server.exitCode === null && server.kill('SIGTERM')) await ended;
  rmSync(dir, { recursive: true, force: true });
}
