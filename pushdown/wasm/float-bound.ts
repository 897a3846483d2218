import type { Node } from './ir.js';

export const float32Max = 3.4028234663852886e38;

/** No finite value of the float node is larger in magnitude: what decides whether a conversion to float32 can overflow. */
export function floatBound(node: Node): number {
  switch (node.op) {
    case 'const':
      return Number.isFinite(Number(node.value)) ? Math.abs(Number(node.value)) : 0;
    case 'convert': {
      const { range } = node.arg;
      if (node.how === 'toFloat' && range) return Math.max(Math.abs(Number(range.min)), Math.abs(Number(range.max)));
      return node.how === 'floatToFloat' ? floatBound(node.arg) : ofRep(node);
    }
    // ln of the largest float64 is 709.8.
    case 'log1p':
      return 1000;
    case 'negate':
      return floatBound(node.arg);
    case 'add':
    case 'sub':
      return rounded(floatBound(node.left) + floatBound(node.right), node);
    case 'mul':
      return rounded(floatBound(node.left) * floatBound(node.right), node);
    case 'clamp':
      return Math.max(floatBound(node.low), floatBound(node.high), node.low.op === 'const' && node.high.op === 'const' ? 0 : floatBound(node.arg));
    case 'coalesce':
      return Math.max(...node.args.map(floatBound));
    case 'null':
      return 0;
    default:
      return ofRep(node);
  }
}

/** Results are rounded, so a bound of exact arithmetic gets some room. */
const rounded = (bound: number, node: Node): number => Math.min(Number.isNaN(bound) ? Number.POSITIVE_INFINITY : bound * (1 + 1e-6), ofRep(node));

const ofRep = (node: Node): number => (node.rep === 'f32' ? float32Max : Number.POSITIVE_INFINITY);
