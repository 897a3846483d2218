import { readFileSync, readdirSync } from 'node:fs';

/** Proportional set size of one process in bytes, the mappings of device memory (SLM memfds) left out and given apart. */
export function pssBytes(pid: number): { own: number; slm: number } {
  let own = 0;
  let slm = 0;
  let inSlm = false;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) inSlm = /memfd:[^ ]*slm/i.test(line);
    const kib = /^Pss:\s+(\d+) kB/.exec(line);
    if (kib && inSlm) slm += Number(kib[1]) * 1024;
    else if (kib) own += Number(kib[1]) * 1024;
  }
  return { own, slm };
}

/** Direct children of a process, threads' children included. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((tid) =>
      readFileSync(`/proc/${pid}/task/${tid}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}
