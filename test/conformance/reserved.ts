import type { Case, Entry, Step } from './case.js';

const dwords = ['cdw2', 'cdw3', 'cdw4', 'cdw5', 'cdw10', 'cdw11', 'cdw12', 'cdw13', 'cdw14', 'cdw15'] as const;
export type Defined = Partial<Record<(typeof dwords)[number], number>>;

/**
 * One case per dword with bits that mean nothing: its lowest and its highest such bit, and one per reserved flag. `steps`: a
 * valid run of the command, whose last step gets the bit.
 */
export function reservedCases(command: string, steps: readonly Step[], defined: Defined): Case[] {
  const before = steps.slice(0, -1);
  const valid = steps[steps.length - 1]!; // every command has a valid run
  const stray = (name: string, change: Partial<Entry>): Case => {
    const { get: _get, dw0: _dw0, ...step } = valid;
    return { command, name, steps: [...before, { ...step, entry: { ...step.entry, ...change }, status: 'InvalidField' }] };
  };
  const cases = [1, 2].map((fuse) => stray(`fused operation ${fuse}`, { flags: fuse }));
  for (const bit of [2, 5]) cases.push(stray(`reserved bit ${bit} of the flags`, { flags: 1 << bit }));
  for (const dword of dwords) {
    const free = ~(defined[dword] ?? 0);
    const bits = Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => ((free >>> bit) & 1) === 1);
    for (const bit of new Set([bits[0], bits[bits.length >> 1], bits[bits.length - 1]]))
      if (bit !== undefined) cases.push(stray(`reserved bit ${bit} of ${dword}`, { [dword]: (valid.entry[dword] ?? 0) | (1 << bit) }));
  }
  return cases;
}
