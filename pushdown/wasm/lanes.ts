import { valueBytes } from '../types/physical.js';
import { i32Range, type Node, type Range, within } from './ir.js';
import type { Column } from '../types/schema.js';

/** Element type of a vector. Sixteen rows are 16 / lanes parts. */
export type Lane = 'i8' | 'i16' | 'i32' | 'i64' | 'f32' | 'f64';

export const laneBytes = { i8: 1, i16: 2, i32: 4, i64: 8, f32: 4, f64: 8 } as const satisfies Record<Lane, number>;
/** Rows of one step of a vector loop. */
export const stepRows = 16;
export const partsOf = (lane: Lane): number => laneBytes[lane];
export const shapeOf = { i8: 'i8x16', i16: 'i16x8', i32: 'i32x4', i64: 'i64x2', f32: 'f32x4', f64: 'f64x2' } as const satisfies Record<Lane, string>;

const order: readonly Lane[] = ['i8', 'i16', 'i32', 'i64'];
export const widest = (...lanes: readonly Lane[]): Lane => lanes.reduce((a, b) => (order.indexOf(b) > order.indexOf(a) ? b : a));

export function laneOfRange(range: Range): Lane {
  if (within(range, { min: -128n, max: 127n })) return 'i8';
  if (within(range, { min: -32768n, max: 32767n })) return 'i16';
  return within(range, i32Range) ? 'i32' : 'i64';
}

/** The lanes a fixed-width column is stored in; undefined for bitmaps and strings. */
export function laneOfColumn(column: Column): Lane | undefined {
  switch (column.physical) {
    case 'i8':
    case 'dict8':
      return 'i8';
    case 'i16':
    case 'dict16':
      return 'i16';
    case 'i32':
    case 'dict32':
      return 'i32';
    case 'i64':
    case 'f32':
    case 'f64':
      return column.physical;
    default:
      return undefined;
  }
}

export const storedBytes = (column: Column): number => valueBytes[column.physical] ?? 0;

/** The lanes a node is computed in, or undefined when it needs the scalar path. Only a conversion to float32 can fail in lanes. */
export function laneOf(node: Node, columns: readonly Column[]): Lane | undefined {
  const of = (n: Node) => laneOf(n, columns);
  switch (node.op) {
    case 'column':
      return laneOfColumn(columns[node.input]!);
    case 'const':
      return node.rep === 'f32' || node.rep === 'f64' ? node.rep : node.rep === 'bool' ? undefined : laneOfRange({ min: BigInt(node.value), max: BigInt(node.value) });
    case 'add':
    case 'sub':
    case 'mul':
    case 'div': {
      const [left, right] = [of(node.left), of(node.right)];
      if (!left || !right || node.check) return undefined;
      if (node.rep === 'f32' || node.rep === 'f64') return node.rep;
      if (node.op === 'div' || !node.range) return undefined;
      const lane = widest(laneOfRange(node.range), left, right);
      // There is no product of bytes.
      return node.op === 'mul' && lane === 'i8' ? 'i16' : lane;
    }
    case 'negate': {
      const lane = of(node.arg);
      if (!lane || node.check) return undefined;
      return node.range ? widest(laneOfRange(node.range), lane) : lane;
    }
    case 'rescale': {
      const lane = of(node.arg);
      if (!lane || node.check || !node.up || !node.range || node.range.max < node.factor) return undefined;
      const wide = widest(laneOfRange(node.range), lane);
      return wide === 'i8' ? 'i16' : wide;
    }
    case 'convert':
      return laneOfConvert(node, of(node.arg));
    case 'clamp': {
      const lanes = [of(node.arg), of(node.low), of(node.high)];
      if (lanes.some((l) => !l) || (!node.range && !(isNumber(node.low) && isNumber(node.high)))) return undefined;
      return node.range ? widest(...(lanes as Lane[])) : lanes[0];
    }
    case 'coalesce': {
      const lanes = node.args.map(of);
      if (lanes.some((l) => !l)) return undefined;
      return node.range ? widest(...(lanes as Lane[])) : lanes[0];
    }
    case 'log1p':
      return of(node.arg) === 'f64' ? 'f64' : undefined;
    case 'bucketize':
      return of(node.arg) === 'f64' && node.boundaries.length <= 64 ? 'i32' : undefined;
    default:
      return undefined;
  }
}


/** A constant that is not NaN: comparisons with it need no second look. */
const isNumber = (node: Node): boolean => node.op === 'const' && !Number.isNaN(Number(node.value));

function laneOfConvert(node: Extract<Node, { op: 'convert' }>, arg: Lane | undefined): Lane | undefined {
  if (!arg || node.check) return undefined;
  switch (node.how) {
    case 'width':
      return arg;
    case 'toFloat': {
      const scale = node.arg.type.kind === 'decimal' ? node.arg.type.scale : 0;
      const bound = node.rep === 'f32' ? 2n ** 24n : 2n ** 53n;
      if (arg === 'i64' || arg === 'f32' || arg === 'f64' || !node.arg.range) return undefined;
      if (scale !== 0 && !within(node.arg.range, { min: -bound, max: bound })) return undefined;
      return node.rep === 'f32' ? 'f32' : 'f64';
    }
    case 'floatToFloat':
      return node.rep === 'f32' ? 'f32' : 'f64';
    default:
      return undefined;
  }
}
