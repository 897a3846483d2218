import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const says = (command: string, args: readonly string[]): string => spawnSync(command, args, { encoding: 'utf8' }).stdout ?? '';

/** clang and wasm-ld, as `millrace kernel build` looks for them. */
export const hasClang = /wasm32/.test(says('clang', ['--print-targets'])) && /LLD/.test(says('wasm-ld', ['--version']));
export const hasRust = ['rustc', '/usr/bin/rustc'].some((rustc) => existsSync(join(says(rustc, ['--print', 'sysroot']).trim() || '/nowhere', 'lib/rustlib/wasm32-unknown-unknown/lib')));

export function sayMissing(file: string): void {
  if (!hasClang) console.warn(`${file}: kernels in C are skipped, there is no clang with wasm-ld (apt-get install clang lld).`);
  if (!hasRust) console.warn(`${file}: kernels in Rust are skipped, there is no rustc with wasm32-unknown-unknown (apt-get install rustc libstd-rust-dev-wasm32).`);
}
