import { readFileSync, readdirSync } from 'node:fs';

const sysfs = '/sys/devices/system/cpu/cpu0/cache';

/** Bytes of the largest cache of this processor, as it says; 32 MiB where it says nothing. */
export function cacheBytes(): number {
  try {
    return Math.max(...readdirSync(sysfs).filter((name) => name.startsWith('index')).map((index) => {
      const [, count, unit] = /^(\d+)([KM]?)/.exec(readFileSync(`${sysfs}/${index}/size`, 'utf8')) ?? [];
      return Number(count) * (unit === 'M' ? 1 << 20 : unit === 'K' ? 1024 : 1);
    }));
  } catch {
    return 32 << 20;
  }
}

/** Reads twice as much as the largest cache holds: what lay in it before has to come from memory again. */
export function coldCache(): () => void {
  const other = Buffer.alloc(Math.min(2 * cacheBytes(), 2 ** 31), 1);
  return () => {
    if (other.indexOf(0) !== -1) throw new Error('the buffer was filled with ones');
  };
}
