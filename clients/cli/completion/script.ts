import type { Command } from 'commander';
import { bash } from './bash.js';
import { fish } from './fish.js';
import { commandTree } from './tree.js';
import { zsh } from './zsh.js';

export type Shell = 'bash' | 'zsh' | 'fish';

/** A completion script made of the declared commands, so it cannot fall behind them. Names of datasets and kernels are asked of the daemon. */
export function completionScript(shell: Shell, program: Command): string {
  return { bash, zsh, fish }[shell](commandTree(program));
}
