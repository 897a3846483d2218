import { type Check, broken, degraded, ok } from './check.js';
import type { Machine } from './machine.js';

/** What kernel and machine offer: the jail's parts, scheduling, memory, time. */
export function systemChecks(machine: Machine): Check[] {
  return [platform(machine), cores(machine), memory(machine), seccomp(machine), namespaces(machine), cgroups(machine), landlock(machine), privileges(machine), hugePages(machine), clock(machine)];
}

function platform({ platform: system, arch, text }: Machine): Check {
  const found = `${system} ${arch}, kernel ${text('/proc/sys/kernel/osrelease') ?? 'unknown'}`;
  return system === 'linux' && arch === 'x64' ? ok('platform', found) : broken('platform', found, 'Millrace runs on Linux x86-64 only.');
}

function cores({ cores: n }: Machine): Check {
  return n >= 2 ? ok('cores', String(n)) : degraded('cores', String(n), 'Slots and foreground I/O share one core: queries slow down reads and each other.');
}

function memory({ text }: Machine): Check {
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text('/proc/meminfo') ?? '')?.[1] ?? Number.NaN);
  const [total, free] = [kib('MemTotal'), kib('MemAvailable')];
  if (Number.isNaN(total)) return degraded('memory', 'unknown (/proc/meminfo cannot be read)', 'Choose --slm by hand so that it fits beside everything else.');
  const found = `${(free / 2 ** 20).toFixed(1)} GiB available of ${(total / 2 ** 20).toFixed(1)} GiB`;
  return free >= 2 ** 20 ? ok('memory', found) : degraded('memory', found, 'The default device memory (512 MiB) leaves little: choose a smaller --slm.');
}

function seccomp({ text }: Machine): Check {
  const actions = text('/proc/sys/kernel/seccomp/actions_avail');
  if (actions?.includes('kill_process')) return ok('seccomp', actions);
  return broken('seccomp', actions ?? 'the kernel has none', 'Slots do not start without their system-call filter: use a kernel with CONFIG_SECCOMP_FILTER.');
}

function namespaces({ text, root }: Machine): Check {
  const max = Number(text('/proc/sys/user/max_user_namespaces') ?? '0');
  const restricted = text('/proc/sys/kernel/unprivileged_userns_clone') === '0' || text('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1';
  if (root || (max > 0 && !restricted)) return ok('namespaces', root ? 'root makes them' : `up to ${max} user namespaces`);
  return degraded('namespaces', restricted ? 'not for ordinary users' : 'none', 'Slots keep the network and IPC namespaces of the daemon; the system-call filter still refuses sockets and files.');
}

function cgroups({ text, root }: Machine): Check {
  const v2 = text('/sys/fs/cgroup/cgroup.controllers');
  if (v2 !== undefined) {
    const writable = root || /\/user@\d+\.service/.test(text('/proc/self/cgroup') ?? '');
    if (/\bcpu\b/.test(v2) && writable) return ok('cgroups', `v2: ${v2}`);
    return degraded('cgroups', `v2: ${v2 || 'no controllers'}${writable ? '' : ', not delegated to this user'}`, 'The CPU share of slots falls back to idle scheduling per process: caps are softer. Run as root or in a delegated scope (systemd-run --user --scope -p Delegate=yes).');
  }
  const v1 = text('/proc/mounts')?.split('\n').filter((line) => line.split(' ')[2] === 'cgroup').flatMap((line) => line.split(' ')[3]?.split(',').filter((o) => ['cpu', 'cpuacct', 'cpuset', 'memory'].includes(o)) ?? []) ?? [];
  if (v1.includes('cpu')) return root ? ok('cgroups', `v1: ${[...new Set(v1)].join(' ')}`) : degraded('cgroups', `v1: ${[...new Set(v1)].join(' ')}, root only`, 'The CPU share of slots falls back to idle scheduling per process: caps are softer. Run as root.');
  return degraded('cgroups', 'none with cpu', 'The CPU share of slots falls back to idle scheduling per process: caps are softer.');
}

function landlock({ text }: Machine): Check {
  const lsm = text('/sys/kernel/security/lsm');
  if (lsm?.split(',').includes('landlock')) return ok('landlock', 'active');
  if (lsm === undefined) return degraded('landlock', 'cannot be seen (securityfs is not mounted)', 'A running daemon tells what is in force in its slots; to see it here: mount -t securityfs none /sys/kernel/security');
  return degraded('landlock', 'not active', 'One layer less around slots and ingest children; the system-call filter still refuses to open files. Boot with lsm=landlock,... on kernel 5.13 or later.');
}

const capSysNice = 1n << 23n;

function privileges({ text, root }: Machine): Check {
  const caps = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(text('/proc/self/status') ?? '')?.[1] ?? '0'}`);
  const nice = (caps & capSysNice) !== 0n;
  if (root || nice) return ok('privileges', root ? 'root' : 'CAP_SYS_NICE');
  return degraded('privileges', 'an ordinary user', 'Millrace needs no root. I/O threads cannot take real-time priority, so reads beside busy slots have longer tails; slots keep the user id of the daemon.');
}

function hugePages({ text }: Machine): Check {
  const chosen = (path: string) => /\[(\w+)\]/.exec(text(path) ?? '')?.[1];
  const shmem = chosen('/sys/kernel/mm/transparent_hugepage/shmem_enabled');
  if (shmem && shmem !== 'never' && shmem !== 'deny') return ok('huge pages', `shared memory: ${shmem}`);
  return degraded('huge pages', shmem === undefined ? 'unknown' : `shared memory: ${shmem}`, 'Device memory is mapped in 4 KiB pages: about 10 ms per GiB when a slot maps it first, and more TLB misses. echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled');
}

function clock({ text }: Machine): Check {
  const source = text('/sys/devices/system/clocksource/clocksource0/current_clocksource');
  if (source === 'tsc' || source === 'kvm-clock') return ok('clock', source);
  return degraded('clock', source ?? 'unknown', 'Reading the time is a system call (up to a microsecond): figures of single commands are coarser.');
}
