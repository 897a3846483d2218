// The native core's fuzzers at their long sizes with a fresh seed, sanitizers on. Their small sizes run with `npm run test:core`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../native/index.js';

const long = process.env.MILLRACE_TEST === 'long';
const seed = String(process.env.MILLRACE_SEED ?? Date.now() & 0x7fffffff);

it.skipIf(!long)('the native fuzzers find nothing', () => {
  console.log(`native fuzz: seed ${seed}; replay with MILLRACE_TEST=long SEED=${seed} make -C native/core/test TEST=_fuzz`);
  const { status, signal } = spawnSync('make', ['-C', join(packageRoot, 'native/core/test'), 'TEST=_fuzz'], { stdio: 'inherit', env: { ...process.env, SEED: seed } });
  expect({ status, signal }).toEqual({ status: 0, signal: null });
});
