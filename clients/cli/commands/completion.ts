import type { Command } from 'commander';
import { completionScript, type Shell } from '../completion/script.js';
import { writeOut } from '../output/write.js';

export async function completion(shell: Shell, program: Command): Promise<void> {
  await writeOut(completionScript(shell, program));
}
