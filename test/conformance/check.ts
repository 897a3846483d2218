import { Status } from '../../pushdown/runtime/wire.gen.js';
import type { Case } from './case.js';
import type { Target } from './target.js';

/** Runs a case on a fresh association. What was not as expected, in words; empty: it conforms. */
export async function check(target: Target, one: Case, nameOf: (status: number) => string): Promise<string[]> {
  await target.reset();
  const wrong: string[] = [];
  for (const [i, step] of one.steps.entries()) {
    const where = `${one.command}: ${one.name}, step ${i + 1} of ${one.steps.length}`;
    const answer = await target.run(step);
    if (answer.status !== Status[step.status]) wrong.push(`${where}: ${nameOf(answer.status)} (${answer.status.toString(16)}h), expected ${step.status}`);
    if (step.dw0 !== undefined && answer.dw0 !== step.dw0) wrong.push(`${where}: dw0 ${answer.dw0.toString(16)}h, expected ${step.dw0.toString(16)}h`);
    const words = new DataView(answer.data.buffer, answer.data.byteOffset, answer.data.byteLength);
    for (const [at, value] of step.get ?? [])
      if (words.getUint32(at, true) !== value >>> 0) wrong.push(`${where}: word at ${at} is ${words.getUint32(at, true).toString(16)}h, expected ${(value >>> 0).toString(16)}h`);
  }
  return wrong;
}
