// One negative test per promise of the slot's seccomp filter: a process that sealed itself as slots do, then tries something.
// It stands for a slot whose kernel broke out of WebAssembly and V8.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';

const addon = join(packageRoot, 'build/Release/millrace_slot.node');

function sealedThen(attempt: string) {
  const code = `
    const require = process.getBuiltinModule('node:module').createRequire('/');
    const fs = require('node:fs'), child = require('node:child_process'), { Worker } = require('node:worker_threads');
    const slot = require(${JSON.stringify(addon)});
    const say = (text) => fs.writeSync(1, text);
    say('parts ' + slot.seal(process.ppid, 0) + '\\n');
    try { ${attempt}; say('done'); } catch (e) { say('refused ' + e.code); }
    slot.die('end');`;
  const { stdout, signal, status } = spawnSync(process.execPath, ['--no-deprecation', '--v8-pool-size=1', '--disable-sigusr1', '-e', code], { encoding: 'utf8', timeout: 20_000 });
  return { signal, status, said: stdout.split('\n')[1] ?? '', parts: Number(/parts (\d+)/.exec(stdout)?.[1]) };
}

it('the filter and no_new_privs are in force before the attempts below', () => {
  const { parts, said, status } = sealedThen('1');
  expect(parts & 3).toBe(3);
  expect([said, status]).toEqual(['done', 70]);
});

const refused: Record<string, string> = {
  'opening a file': `fs.openSync('/etc/passwd', 'r')`,
  'making a file': `fs.openSync('/tmp/millrace-never', 'w')`,
  'looking at a file': `fs.statSync('/etc/passwd')`,
};
for (const [what, attempt] of Object.entries(refused))
  it(`${what} is refused`, () => {
    const { said, signal } = sealedThen(attempt);
    expect(signal === 'SIGSYS' || said === 'refused EPERM').toBe(true);
  });

const deadly: Record<string, string> = {
  'a TCP socket': `const { TCP, constants } = process.binding('tcp_wrap'); new TCP(constants.SOCKET).bind('127.0.0.1', 0)`,
  'a UDP socket': `const { UDP } = process.binding('udp_wrap'); new UDP().bind('127.0.0.1', 0, 0)`,
  'another program': `child.spawnSync('/bin/true')`,
  'another thread': `new Worker('1', { eval: true })`,
  'a signal to another process': `process.kill(process.ppid, 0)`,
  'another identity': `process.setuid(0)`,
  'another directory': `process.chdir('/')`,
  'removing a file': `fs.rmSync('/tmp/millrace-never-there', { force: false })`,
};
for (const [what, attempt] of Object.entries(deadly))
  it(`${what} ends the process`, () => {
    expect(sealedThen(attempt)).toMatchObject({ signal: 'SIGSYS', said: '' });
  });
