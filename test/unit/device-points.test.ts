import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadProfile } from '../../device-sim/profile.js';
import { runPoint, simulate } from '../../device-sim/simulate.js';
import { packageRoot } from '../../native/index.js';

const dir = join(packageRoot, 'device-sim/profiles');
const profiles = readdirSync(dir).map((file) => loadProfile(file.replace(/\.json$/, ''), dir));

/** Virtual time: the figures depend on no machine. Second-hand points are for the benchmark to print. */
describe.each(profiles.filter((profile) => profile.points.length > 0))('$name', (profile) => {
  it('is within 10 % of every published point that may fail a test', async () => {
    const missed: string[] = [];
    for (const point of profile.points) {
      if (point.role === 'printed' || point.how === 'S') continue;
      const { model, error } = await runPoint(profile, point);
      if (!(Math.abs(error) <= 0.1)) missed.push(`${point.what}: ${model} against ${point.value}`);
    }
    expect(missed).toEqual([]);
  }, 240_000);

  it('replays from its seed', async () => {
    const workload = { readShare: 0.5, depth: 8, count: 2000, seed: 7, capacityBytes: 256 << 20 } as const;
    const [a, b, other] = [await simulate(profile, workload), await simulate(profile, workload), await simulate(profile, { ...workload, seed: 8 })];
    expect(b).toEqual(a);
    expect(other.digest).not.toBe(a.digest);
  });
});

describe('published points', () => {
  it('are held out by at least a third', () => {
    const points = profiles.flatMap((profile) => profile.points).filter((point) => point.role !== 'printed');
    expect(points.filter((point) => point.role === 'heldOut').length / points.length).toBeGreaterThanOrEqual(1 / 3);
  });
});

describe('a simulation', () => {
  const profile = loadProfile('ssd-plain', dir);
  it.each([
    [{ readShare: 2 }, 'readShare'],
    [{ bytes: 0 }, 'bytes'],
    [{ depth: 1e9 }, 'depth'],
    [{ count: 0 }, 'count'],
    [{ capacityBytes: 10 }, 'capacityBytes'],
    [{ pattern: 'sideways' as 'random' }, 'pattern'],
    [{ seed: Number.NaN }, 'seed'],
  ])('refuses %j', async (workload, name) => {
    await expect(simulate(profile, workload)).rejects.toThrow(expect.objectContaining({ code: 'MR_DEVICE_CONFIG', message: expect.stringContaining(name) }));
  });

  it('refuses a model that cannot be', async () => {
    for (const [changed, name] of [[{ channels: 0.5 }, 'channels'], [{ programBytes: 5000 }, 'programBytes'], [{ bufferBytes: 1 }, 'bufferBytes'], [{ speed: 3 }, 'speed']] as const)
      await expect(simulate(profile, { count: 1 }, changed as unknown as Record<string, number>)).rejects.toThrow(expect.objectContaining({ code: 'MR_DEVICE_CONFIG', message: expect.stringContaining(name) }));
  });
});
