// What doctor says about machines that lack something: each lack has its sentence.
import { expect, test } from 'vitest';
import type { Machine } from '../../clients/cli/doctor/machine.js';
import { systemChecks } from '../../clients/cli/doctor/system.js';

const files: Readonly<Record<string, string>> = {
  '/proc/sys/kernel/osrelease': '6.1.0', '/proc/meminfo': 'MemTotal:       16777216 kB\nMemAvailable:    8388608 kB', '/proc/sys/kernel/seccomp/actions_avail': 'kill_process errno allow',
  '/proc/sys/user/max_user_namespaces': '1000', '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory', '/proc/self/cgroup': '0::/user.slice/user-1000.slice/user@1000.service/app.slice',
  '/sys/kernel/security/lsm': 'lockdown,landlock,apparmor', '/proc/self/status': 'CapEff:\t0000000000800000', '/sys/kernel/mm/transparent_hugepage/shmem_enabled': 'always within_size [advise] never',
  '/sys/devices/system/clocksource/clocksource0/current_clocksource': 'tsc',
};
const machine = (changes: Readonly<Record<string, string | undefined>> = {}, rest: Partial<Machine> = {}): Machine => {
  const all = new Map(Object.entries({ ...files, ...changes }));
  return { text: (path) => all.get(path), platform: 'linux', arch: 'x64', cores: 4, root: false, ...rest };
};

test('a machine that has everything', () => {
  expect(systemChecks(machine()).filter((c) => c.state !== 'ok')).toEqual([]);
});

test.each([
  ['platform', 'broken', machine({}, { arch: 'arm64' })],
  ['cores', 'degraded', machine({}, { cores: 1 })],
  ['memory', 'degraded', machine({ '/proc/meminfo': 'MemTotal: 1048576 kB\nMemAvailable: 262144 kB' })],
  ['memory', 'degraded', machine({ '/proc/meminfo': undefined })],
  ['seccomp', 'broken', machine({ '/proc/sys/kernel/seccomp/actions_avail': undefined })],
  ['namespaces', 'degraded', machine({ '/proc/sys/user/max_user_namespaces': '0' })],
  ['namespaces', 'degraded', machine({ '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1' })],
  ['cgroups', 'degraded', machine({ '/proc/self/cgroup': '0::/system.slice/x.service' })],
  ['cgroups', 'degraded', machine({ '/sys/fs/cgroup/cgroup.controllers': undefined })],
  ['cgroups', 'degraded', machine({ '/sys/fs/cgroup/cgroup.controllers': undefined, '/proc/mounts': 'cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0' })],
  ['landlock', 'degraded', machine({ '/sys/kernel/security/lsm': 'lockdown,apparmor' })],
  ['landlock', 'degraded', machine({ '/sys/kernel/security/lsm': undefined })],
  ['privileges', 'degraded', machine({ '/proc/self/status': 'CapEff:\t0000000000000000' })],
  ['huge pages', 'degraded', machine({ '/sys/kernel/mm/transparent_hugepage/shmem_enabled': 'always advise [never]' })],
  ['clock', 'degraded', machine({ '/sys/devices/system/clocksource/clocksource0/current_clocksource': 'hpet' })],
] as const)('%s is %s, with what it costs', (name, state, found) => {
  const others = systemChecks(found).filter((c) => c.state !== 'ok');
  expect(others).toEqual([{ name, state, found: expect.any(String), cost: expect.stringMatching(/\w{4}.*/) }]);
});
