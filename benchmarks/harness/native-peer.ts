import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../native/index.js';
import type { Side } from './pairs.js';

// No fused multiply-add: WebAssembly has none, and results must be the same.
const flags = ['-O3', '-march=native', '-std=gnu17', '-w', '-ffp-contract=off'];

/** The C compiler here; undefined: there is none. */
export function nativeCompiler(): string | undefined {
  return ['gcc', 'clang', 'cc'].find((command) => spawnSync(command, ['--version']).status === 0);
}

/** A peer in C: compiled when the benchmark runs, for this processor, with its data in memory before the first run. */
export class NativePeer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator](); // stdio says pipe
  }

  /** sources: paths in the package. */
  static build(compiler: string, out: string, sources: readonly string[], options: { readonly defines?: Readonly<Record<string, string>>; readonly args: readonly string[] }): NativePeer {
    const defines = Object.entries(options.defines ?? {}).map(([name, value]) => `-D${name}=${value}`);
    const { status, stderr } = spawnSync(compiler, [...flags, ...defines, '-I', join(packageRoot, 'benchmarks/native'), '-I', join(packageRoot, 'sdk/c'), ...sources.map((s) => join(packageRoot, s)), '-o', out, '-lm'], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${compiler} does not take ${sources.join(', ')}: ${stderr}`);
    return new NativePeer(spawn(out, [...options.args], { stdio: ['pipe', 'pipe', 'inherit'] }));
  }

  /** One run; `canonical` brings what it printed to the form the other side's hash has. */
  side(canonical: (said: string) => string = (said) => said): Side {
    return async () => {
      this.#child.stdin?.write('run\n');
      const { value, done } = await this.#lines.next();
      if (done) throw new Error('the native peer ended');
      const [ms, said] = String(value).split(' ') as [string, string];
      return { ms: Number(ms), hash: () => canonical(said) };
    };
  }

  close(): void {
    this.#child.stdin?.end();
  }
}
