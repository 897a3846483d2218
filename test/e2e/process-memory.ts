import { readFileSync } from 'node:fs';

/** Proportional set size of one process, its children left out. */
export const pssBytes = (pid: number): number => Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) * 1024;

/** What the issue allows between the 100th and the 1,000th bad request or file. */
export const pssGrowthBytesMax = 20_000_000;
