import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['test/**/*.test.ts'], globalSetup: ['test/global-setup.ts'], testTimeout: process.env.MILLRACE_TEST === 'long' ? 3_600_000 : 60_000, hookTimeout: 60_000, pool: 'forks', maxWorkers: 2 },
});
