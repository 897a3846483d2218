// Runs before anything compiles, so a missing tool is one sentence and not a page of compiler output.
import { spawnSync } from 'node:child_process';

/** The sentence for what is missing to build, or undefined. */
export function missingTool() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return `Linux on x86-64 is needed, this is ${process.platform} on ${process.arch}.`;
  if (Number(process.versions.node.split('.')[0]) < 20) return `Node 20 or later is needed, this is ${process.versions.node}.`;
  for (const [tool, what] of [['python3', 'Python 3'], ['make', 'make'], ['g++', 'a C++20 compiler (g++ 11 or later)']])
    if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).status !== 0)
      return `${what} is needed to build the native part and '${tool}' was not found: install it (Debian: apt-get install python3 make g++) and run npm ci again.`;
  return undefined;
}
