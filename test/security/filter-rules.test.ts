// The installed filter is its list: read back from a running slot and interpreted.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';
import { SlotDevice } from '../device/slot-device.js';
import { kernel, sumParts } from '../kernels/wat.js';
import { buildProgram } from './slot-variant.js';

const dir = mkdtempSync(join(tmpdir(), 'millrace-filter-'));
// Slots run as nobody.
chmodSync(dir, 0o755);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('the filter of a running slot says what the list says, for every call', async () => {
  const program = join(dir, 'read-filter');
  buildProgram(join(packageRoot, 'test/security/read-filter.cc'), program);
  const device = new SlotDevice({ slots: 1, slmBytes: 16 << 20, slotHeapBytesMax: 16 << 20 });
  try {
    await device.ready();
    const { status, stdout, stderr } = spawnSync(program, [String(device.slots()[0]?.pid)], { encoding: 'utf8', timeout: 60_000 });
    if (status === 2) {
      console.log(`not run: reading a filter back needs CAP_SYS_ADMIN and no filter of one's own (${stderr.trim()})`);
      return;
    }
    expect([status, stderr]).toEqual([0, '']);
    const report = JSON.parse(stdout) as { rules: number; checked: number; wrong: unknown[] };
    expect(report.wrong).toEqual([]);
    expect(report.rules).toBe([...rules()].length);
    expect(report.checked).toBeGreaterThan(100_000);
    // It serves on.
    const handle = await device.putColumn([new Int32Array(10).fill(4)]);
    expect((await device.run(await kernel(sumParts), handle, 1))[0]?.fault).toBeUndefined();
  } finally {
    await device.close();
  }
}, 120_000);

/** Rules as they stand in the list. */
function* rules(): Generator<{ name: string; allow: boolean }> {
  const text = readFileSync(join(packageRoot, 'native/jail/slot/seccomp_rules.h'), 'utf8');
  for (const [, name, verdict] of text.matchAll(/^ {4}\{SYS_(\w+), Verdict::k(\w+)/gm)) yield { name: name as string, allow: verdict !== 'Errno' };
}
