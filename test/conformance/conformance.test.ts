import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { statusName } from '../../native/command-status.js';
import { adminCases } from './admin-cases.js';
import type { Case } from './case.js';
import { check } from './check.js';
import { ioCases, queueCases } from './io-cases.js';
import { ShmTarget } from './shm-target.js';
import type { Target } from './target.js';

// Pure data: what goes through JSON is what runs, so anybody may hold another target to it.
const cases = JSON.parse(JSON.stringify([...adminCases, ...ioCases, ...queueCases])) as Case[];

describe('conformance over shared memory', () => {
  let target: Target;
  beforeAll(() => {
    target = new ShmTarget();
  });
  afterAll(() => target.close());

  it('has several hundred cases, each with a name of its own', () => {
    expect(cases.length).toBeGreaterThan(900);
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
