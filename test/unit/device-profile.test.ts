import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../daemon/config.js';
import { deviceModel, profileOf } from '../../daemon/device-model.js';
import { flashNames, memoryNames, powerNames, unitNames } from '../../device-sim/model-names.js';
import { native, packageRoot } from '../../native/index.js';

const dir = mkdtempSync(join(tmpdir(), 'millrace-profile-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const refused = (field: string) => expect.objectContaining({ code: 'MR_CONFIG', at: expect.objectContaining({ field }) });
function fileOf(value: unknown): string {
  const path = join(dir, `profile-${Math.random().toString(36).slice(2)}.json`);
  writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
  return path;
}
const small = { name: 'mine', description: 'a test', sources: { S: 'a source' } };

describe('device profiles', () => {
  it.each(readdirSync(join(packageRoot, 'device-sim/profiles')).map((file) => file.replace(/\.json$/, '')))('%s is whole and named as its file', (name) => {
    expect(profileOf(name).name).toBe(name);
  });

  it('name the same numbers as the models in C++', () => {
    const fields = native().modelFields();
    expect([...fields.flash].sort()).toEqual([...flashNames].sort());
    expect([...fields.units].sort()).toEqual([...unitNames].sort());
    expect([...fields.memory].sort()).toEqual([...memoryNames].sort());
    expect([...fields.power].sort()).toEqual([...powerNames].sort());
  });

  it('local models nothing and changes no default', () => {
    const config = readConfig({ dir: '/d' });
    expect(config).toMatchObject({ profile: 'local', slots: 2, coreFactor: 1 });
    expect(deviceModel(config)).toEqual({ profile: 'local', coreFactor: 1 });
  });

  it('gives slots, device memory, core factor and link where the configuration says nothing', () => {
    const config = readConfig({ dir: '/d', profile: 'csd-pcie3-arm' });
    expect(config).toMatchObject({ slots: 4, coreFactor: 3, slmBytes: 3 * 2 ** 30 });
    expect(deviceModel(config).link).toEqual({ bytesPerSecond: 3_270_000_000, latencyNs: 200 });
    const own = readConfig({ dir: '/d', profile: 'csd-pcie3-arm', slots: '1', slmBytes: 64 << 20, coreFactor: '1.5', link: 'none' });
    expect(own).toMatchObject({ slots: 1, coreFactor: 1.5, slmBytes: 64 << 20 });
    expect(deviceModel(own)).toEqual({ profile: 'csd-pcie3-arm', coreFactor: 1.5, device: { media: expect.objectContaining({ kind: 'flash', channels: 8 }), power: expect.any(Object) } });
  });

  it('comes from a file, whose mistakes are named with their place', () => {
    const mine = fileOf({ ...small, link: { bytesPerSecond: 1000, latencyNs: 5, sources: ['S'] } });
    expect(deviceModel(readConfig({ dir: '/d', profile: mine }))).toEqual({ profile: 'mine', coreFactor: 1, link: { bytesPerSecond: 1000, latencyNs: 5 } });
    const cases: readonly (readonly [unknown, string])[] = [
      ['{', 'profile'],
      [{}, 'profile.name'],
      [{ ...small, name: 'Has Blanks' }, 'profile.name'],
      [{ ...small, speed: 3 }, 'profile.'],
      [{ ...small, link: { bytesPerSecond: 0, latencyNs: 0, sources: [] } }, 'profile.link.bytesPerSecond'],
      [{ ...small, link: { bytesPerSecond: 1, latencyNs: 0, sources: [] } }, 'profile.link.sources'],
      [{ ...small, core: { count: 4, factor: 0.5, sources: ['S'] } }, 'profile.core.factor'],
      [{ ...small, core: { count: 4, factor: 2, sources: ['nobody'] } }, 'profile.sources'],
      [{ ...small, media: { kind: 'tape', figures: {} } }, 'profile.media.kind'],
      [{ ...small, media: { kind: 'units', figures: { unit: { value: 1, how: 'choice' } } } }, 'profile.media.figures'],
      [{ ...small, media: { kind: 'units', figures: { units: { value: -1, how: 'choice' } } } }, 'profile.media.figures.units.value'],
      [{ ...small, media: { kind: 'units', figures: { units: { value: 1, how: 'D' } } } }, 'profile.media.figures.units'],
      [{ ...small, media: { kind: 'units', figures: { units: { value: 1, how: 'X', source: 'nobody' } } } }, 'profile.sources'],
      [{ ...small, points: [{ what: 'w', metric: 'kIops', value: 1, source: 'S', how: 'D', role: 'guessed', workload: {} }] }, 'profile.points.0.role'],
    ];
    for (const [value, field] of cases) expect(() => readConfig({ dir: '/d', profile: fileOf(value) }), JSON.stringify(value)).toThrow(refused(field));
    expect(() => readConfig({ dir: '/d', profile: 'no-such-device' })).toThrow(refused('profile'));
    expect(() => readConfig({ dir: '/d', profile: join(dir, 'absent.json') })).toThrow(refused('profile'));
    expect(() => readConfig({ dir: '/d', profile: '../../etc/passwd' })).toThrow(refused('profile'));
  });
});
