import { Status } from '../../pushdown/runtime/wire.gen.js';
import type { Answered, Case, Step, Word } from './case.js';
import type { Answer, Target } from './target.js';

/** Runs a case on a fresh association. What was not as expected, in words; empty: it conforms. */
export async function check(target: Target, one: Case, nameOf: (status: number) => string): Promise<string[]> {
  await target.reset();
  const wrong: string[] = [];
  const answers: Answer[] = [];
  for (const [i, step] of one.steps.entries()) {
    const where = `${one.command}: ${one.name}, step ${i + 1} of ${one.steps.length}`;
    const answer = await target.run(filled(step, answers));
    answers.push(answer);
    if (answer.status !== Status[step.status]) wrong.push(`${where}: ${nameOf(answer.status)} (${answer.status.toString(16)}h), expected ${step.status}`);
    if (step.dw0 !== undefined && answer.dw0 !== step.dw0) wrong.push(`${where}: dw0 ${answer.dw0.toString(16)}h, expected ${step.dw0.toString(16)}h`);
    const words = new DataView(answer.data.buffer, answer.data.byteOffset, answer.data.byteLength);
    for (const [at, value] of step.get ?? [])
      if (words.getUint32(at, true) !== value >>> 0) wrong.push(`${where}: word at ${at} is ${words.getUint32(at, true).toString(16)}h, expected ${(value >>> 0).toString(16)}h`);
  }
  return wrong;
}

/** The step with what it takes from answers before it. */
function filled(step: Step, answers: readonly Answer[]): Step {
  const earlier = (i: number): Answer => {
    const answer = answers[i];
    if (!answer) throw new Error(`step ${answers.length + 1} takes from step ${i + 1}, which is not before it`);
    return answer;
  };
  const word = ({ step: i, at }: Answered): number => (at === undefined ? earlier(i).dw0 : new DataView(earlier(i).data.buffer, earlier(i).data.byteOffset).getUint32(at, true));
  const taken = Object.fromEntries(Object.entries(step.take ?? {}).map(([dword, from]) => [dword, word(from)]));
  return { ...step, entry: { ...step.entry, ...taken }, put: [...(step.dataOf === undefined ? [] : words(earlier(step.dataOf).data, step.bytes ?? 0)), ...(step.put ?? [])] };
}

function words(data: Uint8Array, bytesMax: number): Word[] {
  const view = new DataView(data.buffer, data.byteOffset, Math.min(data.byteLength, bytesMax));
  return Array.from({ length: view.byteLength >> 2 }, (_, i) => [4 * i, view.getUint32(4 * i, true)] as const);
}
