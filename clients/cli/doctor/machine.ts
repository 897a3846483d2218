import { readFileSync } from 'node:fs';

/** What the checks of the system look at, as an argument: tests bring machines of their own. */
export interface Machine {
  /** A small file of /proc or /sys, trimmed; undefined when it cannot be read. */
  text(path: string): string | undefined;
  readonly arch: string;
  readonly platform: string;
  /** Cores this process may use. */
  readonly cores: number;
  readonly root: boolean;
}

export function thisMachine(cores: number): Machine {
  return {
    text(path) {
      try {
        return readFileSync(path, 'utf8').trim();
      } catch {
        return undefined;
      }
    },
    arch: process.arch,
    platform: process.platform,
    cores,
    root: process.getuid?.() === 0,
  };
}
