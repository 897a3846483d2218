import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { statusName } from '../../native/command-status.js';
import { adminCases } from './admin-cases.js';
import type { Case } from './case.js';
import { check } from './check.js';
import { executeCases, executeOnMediaCases, executeWithoutMediaCases } from './execute-cases.js';
import { ioCases, queueCases } from './io-cases.js';
import { kvCases } from './kv-cases.js';
import { memoryCases, persistentMemoryCases } from './memory-cases.js';
import { ShmTarget } from './shm-target.js';
import { streamCases } from './stream-cases.js';
import type { Target } from './target.js';
import { TcpTarget, otherOverFabrics } from './tcp-target.js';

// Pure data: what goes through JSON is what runs, so anybody may hold another target to it.
const asData = (cases: readonly Case[]): Case[] => JSON.parse(JSON.stringify(cases)) as Case[];

describe.each([
  { over: 'shared memory', least: 1000, make: (): Target => new ShmTarget(), cases: asData([...adminCases, ...ioCases, ...memoryCases, ...executeCases, ...executeWithoutMediaCases, ...kvCases, ...streamCases, ...queueCases]) },
  { over: 'NVMe/TCP', least: 1000, make: (): Target => new TcpTarget(), cases: asData([...adminCases, ...ioCases, ...memoryCases, ...executeCases, ...executeWithoutMediaCases, ...kvCases, ...streamCases].filter((one) => !otherOverFabrics(one))) },
  { over: 'shared memory, media that is memory', least: 200, make: (): Target => new ShmTarget(true), cases: asData([...memoryCases, ...persistentMemoryCases, ...executeCases, ...executeOnMediaCases]) },
])('conformance over $over', ({ make, cases, least }) => {
  let target: Target;
  beforeAll(() => {
    target = make();
  });
  afterAll(() => target.close());

  it('has hundreds of cases, each with a name of its own', () => {
    expect(cases.length).toBeGreaterThan(least);
    const names = cases.map((c) => `${c.command}: ${c.name}`);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  for (const command of new Set(cases.map((c) => c.command)))
    it(command, async () => {
      const wrong: string[] = [];
      for (const one of cases.filter((c) => c.command === command)) wrong.push(...(await check(target, one, statusName)));
      expect(wrong).toEqual([]);
    });
});
