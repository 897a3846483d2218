import type { CompareOp } from '../expr/expr.js';
import type { Node, Range } from './ir.js';
import { compareUtf8, lowerBound } from './utf8-order.js';

const bool = { kind: 'bool' } as const;

/** Dictionaries are sorted by bytes, so a comparison of strings is one of codes. `codes`: the i32 column node. */
export function compareCodes(codes: Node, dictionary: readonly string[], cmp: CompareOp, value: string): Node {
  const from = lowerBound(dictionary, value);
  const to = lowerBound(dictionary, value, true);
  const end = dictionary.length;
  switch (cmp) {
    case 'eq':
      return inRanges(codes, [[from, to]], end);
    case 'ne':
      return inRanges(codes, [[0, from], [to, end]], end);
    case 'lt':
      return inRanges(codes, [[0, from]], end);
    case 'le':
      return inRanges(codes, [[0, to]], end);
    case 'gt':
      return inRanges(codes, [[to, end]], end);
    case 'ge':
      return inRanges(codes, [[from, end]], end);
    default:
      return cmp satisfies never;
  }
}

/** Codes whose string passes `keep`: ranges if few, a bitmap otherwise. */
export function selectCodes(codes: Node, dictionary: readonly string[], keep: (value: string) => boolean): Node {
  const ranges: [number, number][] = [];
  const bitmap = new Uint8Array(Math.ceil(dictionary.length / 8));
  for (const [code, value] of dictionary.entries()) {
    if (!keep(value)) continue;
    bitmap[code >> 3]! |= 1 << (code & 7);
    const last = ranges.at(-1);
    if (last?.[1] === code) last[1] = code + 1;
    else ranges.push([code, code + 1]);
  }
  if (ranges.length <= 4) return inRanges(codes, ranges, dictionary.length);
  return { op: 'inCodes', arg: codes, bitmap, codes: dictionary.length, rep: 'bool', type: bool, nullable: codes.nullable };
}

/** Half-open code ranges as a predicate; all or nothing becomes a known answer. */
function inRanges(arg: Node, halfOpen: readonly (readonly [number, number])[], end: number): Node {
  const filled = halfOpen.filter(([from, to]) => from < to);
  const known = (value: boolean): Node => ({ op: 'known', value, args: [arg], rep: 'bool', type: bool, nullable: arg.nullable });
  if (filled.length === 0) return known(false);
  if (filled.length === 1 && filled[0]?.[0] === 0 && filled[0][1] >= end) return known(true);
  const ranges: Range[] = filled.map(([from, to]) => ({ min: BigInt(from), max: BigInt(to - 1) }));
  return { op: 'inRanges', arg, ranges, rep: 'bool', type: bool, nullable: arg.nullable };
}

/** Two dictionaries as one order: the rank of each entry among all entries. Equal strings have equal ranks. */
export const sameDictionary = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((v, i) => compareUtf8(v, b[i] ?? '') === 0));
