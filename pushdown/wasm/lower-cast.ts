import { isFloat } from '../expr/common-type.js';
import type { LogicalType } from '../types/logical.js';
import { type Conversion, i64Range, intersect, type Node, type Range, repOf, typeRange, within } from './ir.js';
import { Unsupported } from './unsupported.js';

const dayMicros = 86_400_000_000n;
const scaleOf = (type: LogicalType): number => (type.kind === 'decimal' ? type.scale : 0);

/** The node with bounds `range` as the narrowest representation, or Unsupported. */
export function exactRep(range: Range): 'i32' | 'i64' {
  const rep = repOf(range);
  if (!rep) throw new Unsupported('an exact value that may need more than 64 bits');
  return rep;
}

/** Brings an exact node to i32 or i64. */
export function toRep(node: Node, rep: 'i32' | 'i64'): Node {
  if (node.rep === rep) return node;
  if (node.op === 'const' || node.op === 'null') return { ...node, rep };
  return { op: 'convert', how: 'width', arg: node, rep, type: node.type, nullable: node.nullable, ...(node.range && { range: node.range }) };
}

/** Bounds after an operation that fails outside `type`; check is absent when the bounds prove that it cannot. */
export function checked(range: Range, type: LogicalType): { range: Range; check?: Range } {
  const allowed = typeRange(type);
  if (!allowed || within(range, allowed)) return { range };
  return { range: intersect(range, allowed), check: allowed };
}

/** CAST(node AS type), as DuckDB rounds and checks. */
export function castNode(node: Node, type: LogicalType): Node {
  if (node.op === 'null') return nullNode(type);
  const from = node.type;
  if (type.kind === from.kind && type.kind !== 'decimal') return { ...node, type };
  if (type.kind === 'bool') return toBool(node);
  if (isFloat(type)) return toFloat(node, type);
  if (from.kind === 'date' && type.kind === 'timestamp') return rescale(node, type, dayMicros, true);
  if (from.kind === 'timestamp' && type.kind === 'date') return floorDays(node, type);
  if (!typeRange(type)) throw new Unsupported(`cast to ${type.kind}`);
  if (isFloat(from)) return floatToExact(node, type);
  const exact: Node = from.kind === 'bool' ? boolToInt(node) : node;
  const shift = scaleOf(type) - scaleOf(from);
  return rescale(exact, type, 10n ** BigInt(Math.abs(shift)), shift >= 0);
}

export function nullNode(type: LogicalType): Node {
  const range = typeRange(type);
  const rep = type.kind === 'bool' ? 'bool' : type.kind === 'utf8' ? 'utf8' : type.kind === 'float32' ? 'f32' : type.kind === 'float64' ? 'f64' : 'i32';
  return { op: 'null', rep, type, nullable: true, ...(range && { range: { min: 0n, max: 0n } }) };
}

export function constNode(value: bigint | number | boolean, type: LogicalType): Node {
  if (typeof value === 'bigint') return { op: 'const', value, type, rep: repOf({ min: value, max: value }) ?? 'i64', nullable: false, range: { min: value, max: value } };
  const rep = typeof value === 'boolean' ? 'bool' : type.kind === 'float32' ? 'f32' : 'f64';
  return { op: 'const', value: rep === 'f32' ? Math.fround(Number(value)) : value, type, rep, nullable: false };
}

function rescale(node: Node, type: LogicalType, factor: bigint, up: boolean): Node {
  const range = node.range;
  if (!range) throw new Unsupported(`cast of ${node.type.kind}`);
  const half = factor / 2n;
  const move = (v: bigint) => (up ? v * factor : (v + (v < 0n ? -half : half)) / factor);
  const moved = { min: move(range.min), max: move(range.max) };
  if (node.op === 'const' && typeof node.value === 'bigint') {
    const allowed = typeRange(type);
    if (allowed && !within(moved, allowed)) throw new Unsupported('a constant that does not fit its type');
    return constNode(moved.min, type);
  }
  const { range: result, check } = checked(moved, type);
  if (factor === 1n && !check) return { ...node, type };
  // The unchecked product must itself fit 64 bits: a check sees only what did not wrap.
  const wide = within(moved, i64Range) ? moved : undefined;
  if (!wide && !check) throw new Unsupported('an exact value that may need more than 64 bits');
  const rep = check ? 'i64' : exactRep(widest(result, range));
  const widened = toRep(node, rep);
  const out: Node = { op: 'rescale', arg: widened, factor, up, rep, type, nullable: node.nullable, range: result, ...(check && { check }) };
  return toRep(out, exactRep(result));
}

const widest = (a: Range, b: Range): Range => ({ min: a.min < b.min ? a.min : b.min, max: a.max > b.max ? a.max : b.max });

function toBool(node: Node): Node {
  if (node.op === 'const') return constNode(typeof node.value === 'bigint' ? node.value !== 0n : Boolean(node.value) || Number.isNaN(node.value), { kind: 'bool' });
  return { op: 'convert', how: 'toBool', arg: node, rep: 'bool', type: { kind: 'bool' }, nullable: node.nullable };
}

function boolToInt(node: Node): Node {
  if (node.op === 'const') return constNode(node.value ? 1n : 0n, { kind: 'int8' });
  return { op: 'convert', how: 'width', arg: node, rep: 'i32', type: { kind: 'int8' }, nullable: node.nullable, range: { min: 0n, max: 1n } };
}

function toFloat(node: Node, type: LogicalType): Node {
  const rep = type.kind === 'float32' ? 'f32' : 'f64';
  const make = (how: Conversion, arg: Node): Node => ({ op: 'convert', how, arg, rep, type, nullable: arg.nullable });
  if (isFloat(node.type)) return node.op === 'const' ? constNode(Number(node.value), type) : make('floatToFloat', node);
  const exact = node.type.kind === 'bool' ? boolToInt(node) : node;
  if (!exact.range) throw new Unsupported(`cast of ${node.type.kind} to ${type.kind}`);
  exactRep(exact.range);
  return make('toFloat', exact);
}

function floatToExact(node: Node, type: LogicalType): Node {
  const range = typeRange(type);
  if (!range) throw new Unsupported(`cast to ${type.kind}`);
  const rep = exactRep(range);
  return { op: 'convert', how: 'floatToInt', arg: node, rep, type, nullable: node.nullable, range, check: range };
}

function floorDays(node: Node, type: LogicalType): Node {
  const range = node.range;
  if (!range) throw new Unsupported('cast of a timestamp without bounds');
  const floor = (v: bigint) => (v < 0n ? -((-v + dayMicros - 1n) / dayMicros) : v / dayMicros);
  const days = { min: floor(range.min), max: floor(range.max) };
  return { op: 'convert', how: 'floorDays', arg: toRep(node, 'i64'), rep: 'i32', type, nullable: node.nullable, range: days };
}
