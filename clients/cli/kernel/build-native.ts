import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../native/index.js';
import { MillraceError } from '../../../pushdown/types/error.js';

const stackBytes = 65536;

/**
 * C with clang and lld. Two steps: clang as a linker driver runs whatever `wasm-opt` it finds in the path over the result, and
 * the same source must give the same digest wherever it is built.
 * @throws MillraceError MR_SDK_MISSING, MR_KERNEL_BUILD with the compiler's words
 */
export async function buildC(dir: string, source: string, memoryPages: number): Promise<Uint8Array<ArrayBuffer>> {
  const clang = firstThere([process.env.MILLRACE_CLANG, 'clang', 'clang-20', 'clang-19', 'clang-18', 'clang-17', 'clang-16', 'clang-15', 'clang-14'], ['--print-targets'], /wasm32/);
  const lld = firstThere(['wasm-ld', 'wasm-ld-20', 'wasm-ld-19', 'wasm-ld-18', 'wasm-ld-17', 'wasm-ld-16', 'wasm-ld-15', 'wasm-ld-14'], ['--version'], /LLD/);
  if (!clang || !lld) throw new MillraceError('MR_SDK_MISSING', 'C kernels need clang with its WebAssembly target and wasm-ld: on Debian and Ubuntu, apt-get install clang lld.');
  return compiled(source, (out) => [
    [clang, '--target=wasm32', '-std=c17', '-O3', '-msimd128', '-mbulk-memory', '-mnontrapping-fptoint', '-msign-ext', '-ffreestanding', '-fno-builtin-printf', '-Wall', '-Werror=implicit-function-declaration', '-I', join(packageRoot, 'sdk/c'), '-c', source, '-o', `${out}.o`],
    [lld, `${out}.o`, '-o', out, '--no-entry', '--stack-first', '-z', `stack-size=${stackBytes}`, `--initial-memory=${memoryPages * 65536}`, `--max-memory=${memoryPages * 65536}`, '--strip-all'],
  ], dir);
}

/** Rust where its wasm32-unknown-unknown target is installed. @throws as buildC */
export async function buildRust(dir: string, source: string, memoryPages: number): Promise<Uint8Array<ArrayBuffer>> {
  const rustc = [process.env.MILLRACE_RUSTC, 'rustc', '/usr/bin/rustc'].find((command) => command !== undefined && hasWasmTarget(command));
  if (!rustc) throw new MillraceError('MR_SDK_MISSING', 'Rust kernels need rustc with the target wasm32-unknown-unknown: rustup target add wasm32-unknown-unknown, or on Debian apt-get install rustc libstd-rust-dev-wasm32 lld.');
  return compiled(source, (out) => [[
    rustc, source, '-o', out, '--crate-type', 'cdylib', '--edition', '2021', '--target', 'wasm32-unknown-unknown', '-O', '-C', 'target-feature=+simd128,+bulk-memory', '-C', 'panic=abort', '-C', 'strip=symbols', ...linker(),
    '-C', `link-arg=--stack-first`, '-C', `link-arg=-zstack-size=${stackBytes}`, '-C', `link-arg=--initial-memory=${memoryPages * 65536}`,
  ]], dir);
}

/** rustup ships rust-lld; Debian's rustc wants wasm-ld named. */
const linker = (): string[] => (spawnSync('wasm-ld', ['--version']).status === 0 ? ['-C', 'linker=wasm-ld'] : []);

function hasWasmTarget(rustc: string): boolean {
  const { status, stdout } = spawnSync(rustc, ['--print', 'sysroot'], { encoding: 'utf8' });
  return status === 0 && existsSync(join(stdout.trim(), 'lib/rustlib/wasm32-unknown-unknown/lib'));
}

function firstThere(commands: readonly (string | undefined)[], args: readonly string[], says: RegExp): string | undefined {
  return commands.find((command) => {
    if (!command) return false;
    const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
    return status === 0 && says.test(stdout);
  });
}

/** Each step is a command with its arguments; the last one makes `out`. */
async function compiled(source: string, steps: (out: string) => [string, ...string[]][], dir: string): Promise<Uint8Array<ArrayBuffer>> {
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-kernel-'));
  try {
    const out = join(scratch, 'kernel.wasm');
    for (const [command, ...args] of steps(out)) {
      const { code, words } = await run(command, args, dir);
      if (code !== 0) throw new MillraceError('MR_KERNEL_BUILD', `${command} does not take ${source}:\n${words.trim()}`);
    }
    return new Uint8Array(readFileSync(out));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[], cwd: string): Promise<{ code: number | null; words: string }> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { words += text; });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, words }));
  });
}
