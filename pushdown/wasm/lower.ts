import { commonType, isFloat } from '../expr/common-type.js';
import type { CompareOp, Expr } from '../expr/expr.js';
import { findColumn, inferType } from '../expr/infer.js';
import type { LogicalType } from '../types/logical.js';
import { MillraceError } from '../types/error.js';
import { type PhysicalType, valueBytes } from '../types/physical.js';
import type { Column, Schema } from '../types/schema.js';
import type { BaseModule, LinkedModule } from './encoder/base-module.js';
import { ModuleLinker } from '../user/link-modules.js';
import { disjoint, hull, i32Range, i64Range, intersect, type Node, type NodeOf, type Range, repOf, typeRange } from './ir.js';
import { lowerArith, lowerNegate } from './lower-arith.js';
import { castNode, constNode, exactRep, nullNode, toRep } from './lower-cast.js';
import { compareCodes, sameDictionary, selectCodes } from './lower-dictionary.js';
import { matchesLike } from './like.js';
import { Unsupported } from './unsupported.js';
import { checkFunctionType, functionRep } from './user-function.js';

const bool = { kind: 'bool' } as const;
const physicalRange: Partial<Record<PhysicalType, bigint>> = { i8: 7n, i16: 15n, i32: 31n, i64: 63n, dict8: 7n, dict16: 15n, dict32: 31n };

/** Bounds of a stored exact column: proven ones if the dataset has them, otherwise what its storage can hold. */
export function columnRange(column: Column): Range | undefined {
  const bits = physicalRange[column.physical];
  if (bits === undefined) return undefined;
  const storage = { min: -(2n ** bits), max: 2n ** bits - 1n };
  if (column.min !== undefined && column.max !== undefined) return intersect({ min: column.min, max: column.max }, storage);
  return column.dictionary ? { min: 0n, max: BigInt(Math.max(0, column.dictionary.length - 1)) } : storage;
}

/** The column with the fewest bytes a row: what count(*) carries. */
function narrowest(columns: readonly Column[]): number {
  const bytes = columns.map((c) => (c.physical === 'bool' ? 0.125 : (valueBytes[c.physical] ?? Number.POSITIVE_INFINITY)) + (c.nullable ? 0.125 : 0));
  return bytes.indexOf(Math.min(...bytes));
}

const isDictionary = (physical: PhysicalType): boolean => physical === 'dict8' || physical === 'dict16' || physical === 'dict32';

/**
 * Expressions over `schema` as typed, bounded nodes. Inputs are numbered in order of first use; `inputs` lists the schema's columns
 * that kernels need.
 * @throws Unsupported for what no kernel can compute, MillraceError MR_PLAN_* for what is wrong
 */
export class Lowering {
  readonly #inputs: number[] = [];
  readonly #modules: ModuleLinker;

  /** first: a user's module that the kernel is built upon in any case, and that stays as it is. */
  constructor(readonly schema: Schema, first?: BaseModule) {
    this.#modules = new ModuleLinker(first);
  }

  /** The modules of the users' functions that were lowered; the kernel is built upon them. Ask when everything is lowered. */
  get base(): LinkedModule | undefined {
    return this.#modules.linked;
  }

  /** Schema column of each kernel input; ask when everything is lowered. Never empty: rows come to a kernel on a column. */
  get inputs(): readonly number[] {
    if (this.#inputs.length === 0 && this.schema.columns.length > 0) this.#inputs.push(narrowest(this.schema.columns));
    return this.#inputs;
  }

  get inputColumns(): readonly Column[] {
    return this.inputs.map((i) => this.schema.columns[i]!);
  }

  /** Kernel input that holds the schema's column. */
  input(column: Column): number {
    const index = this.schema.columns.indexOf(column);
    const known = this.#inputs.indexOf(index);
    return known >= 0 ? known : this.#inputs.push(index) - 1;
  }

  /** A scan reads at least one column, even if only to count rows: the one with the fewest bytes. Call when all is lowered. */
  readSomething(): void {
    if (this.#inputs.length > 0) return;
    const bytes = (c: Column) => (c.physical === 'bool' ? 1 / 8 : (valueBytes[c.physical] ?? Number.POSITIVE_INFINITY)) + (c.nullable ? 1 / 8 : 0);
    const [narrowest] = this.schema.columns.toSorted((a, b) => bytes(a) - bytes(b));
    if (narrowest) this.input(narrowest);
  }

  /** A column as stored: a dictionary column gives its codes as i32. */
  stored(column: Column): NodeOf<'column'> {
    const input = this.input(column);
    const { type, nullable, physical } = column;
    const range = columnRange(column);
    if (range) return { op: 'column', input, rep: exactRep(range), type, nullable, range };
    const rep = physical === 'bool' ? 'bool' : physical === 'utf8' ? 'utf8' : physical === 'f32' ? 'f32' : physical === 'f64' ? 'f64' : undefined;
    if (!rep) throw new Unsupported(`column stored as ${physical}`);
    return { op: 'column', input, rep, type, nullable };
  }

  lower(expr: Expr): Node {
    switch (expr.kind) {
      case 'column': {
        const column = findColumn(expr.name, this.schema);
        const stored = this.stored(column);
        return isDictionary(column.physical) ? this.#dictionaryString(column, stored) : stored;
      }
      case 'literal':
        return lowerLiteral(expr.value, expr.type);
      case 'compare':
        return this.#compare(expr.op, expr.left, expr.right);
      case 'and':
      case 'or':
        return junction(expr.kind, expr.args.map((a) => this.lower(a)));
      case 'not': {
        const arg = this.lower(expr.arg);
        return { op: 'not', arg, rep: 'bool', type: bool, nullable: arg.nullable };
      }
      case 'isNull':
        return this.#isNull(expr.arg, expr.negated);
      case 'between':
        return this.#between(expr.arg, expr.low, expr.high);
      case 'in':
        return this.#in(expr.arg, expr.values, expr.negated);
      case 'like':
        return this.#like(expr.arg, expr.pattern, expr.negated);
      case 'arith':
        return lowerArith(expr.op, this.lower(expr.left), this.lower(expr.right), inferType(expr, this.schema));
      case 'negate':
        return lowerNegate(this.lower(expr.arg));
      case 'cast':
        inferType(expr, this.schema);
        return castNode(this.lower(expr.arg), expr.type);
      case 'coalesce':
        return this.#coalesce(expr.args.map((a) => this.lower(a)), inferType(expr, this.schema));
      case 'clamp': {
        const type = inferType(expr, this.schema);
        const [arg, low, high] = sameRep([expr.arg, expr.low, expr.high].map((e) => castNode(this.lower(e), type))) as [Node, Node, Node];
        const nullable = arg.nullable || low.nullable || high.nullable;
        const range = arg.range && low.range && high.range ? clampRange(arg.range, low.range, high.range) : undefined;
        return { op: 'clamp', arg, low, high, rep: arg.rep, type, nullable, ...(range && { range }) };
      }
      case 'log1p': {
        const arg = castNode(this.lower(expr.arg), { kind: 'float64' });
        return { op: 'log1p', arg, rep: 'f64', type: { kind: 'float64' }, nullable: arg.nullable };
      }
      case 'bucketize': {
        inferType(expr, this.schema);
        const arg = castNode(this.lower(expr.arg), { kind: 'float64' });
        const range = { min: 0n, max: BigInt(expr.boundaries.length) };
        return { op: 'bucketize', arg, boundaries: expr.boundaries, rep: 'i32', type: { kind: 'int32' }, nullable: arg.nullable, range };
      }
      case 'call':
        return this.#call(expr);
      default:
        return expr satisfies never;
    }
  }

  #call(expr: Extract<Expr, { kind: 'call' }>): Node {
    const type = inferType(expr, this.schema);
    const target = expr.target!; // inferType asks for it
    const module = this.schema.modules?.get(target.digest);
    if (!module) throw new MillraceError('MR_FUNCTION_NOT_FOUND', `the module of the function ${expr.name} is not loaded`, { field: expr.name, httpStatus: 404 });
    const index = checkFunctionType(module, expr.name, target);
    const { functions, memory } = this.#modules.add(module);
    const args = expr.args.map((arg, i) => {
      const node = this.lower(arg);
      const param = target.params[i]!;
      const rep = functionRep(param);
      if (rep === 'utf8') return node;
      if (node.op === 'null') return { ...node, rep, type: param };
      const cast = castNode(node, param);
      return rep === 'i32' || rep === 'i64' ? toRep(cast, rep) : cast;
    });
    const nullable = args.some((a) => a.nullable);
    const rep = functionRep(type);
    const range = rep === 'i32' ? i32Range : rep === 'i64' ? i64Range : undefined;
    return { op: 'call', function: functions + index, memory, memoryEnd: memory + module.memoryPages * 65_536, args, rep, type, nullable, ...(range && { range }) };
  }

  #dictionaryString(column: Column, codes: NodeOf<'column'>): Node {
    if (!column.dictionary) throw new Unsupported(`the dictionary of "${column.name}" is not loaded`);
    return { op: 'dictString', arg: codes, dictionary: column.dictionary, rep: 'utf8', type: column.type, nullable: column.nullable };
  }

  #compare(cmp: CompareOp, leftExpr: Expr, rightExpr: Expr): Node {
    const left = this.lower(leftExpr);
    const right = this.lower(rightExpr);
    inferType({ kind: 'compare', op: cmp, left: leftExpr, right: rightExpr }, this.schema);
    return compareNodes(cmp, left, right);
  }

  /** All three are brought to one type, as DuckDB does. */
  #between(argExpr: Expr, lowExpr: Expr, highExpr: Expr): Node {
    const [arg, low, high] = unified([argExpr, lowExpr, highExpr].map((e) => this.lower(e))) as [Node, Node, Node];
    return junction('and', [compareNodes('ge', arg, low), compareNodes('le', arg, high)]);
  }

  #isNull(argExpr: Expr, negated: boolean): Node {
    // A column's validity is known without its values, so no dictionary is needed.
    const arg = argExpr.kind === 'column' ? this.stored(findColumn(argExpr.name, this.schema)) : this.lower(argExpr);
    const isNull: Node = arg.nullable ? { op: 'isNull', arg, rep: 'bool', type: bool, nullable: false } : constNode(false, bool);
    return negated ? { op: 'not', arg: isNull, rep: 'bool', type: bool, nullable: false } : isNull;
  }

  #in(argExpr: Expr, values: readonly Expr[], negated: boolean): Node {
    const arg = this.lower(argExpr);
    const type = inferType({ kind: 'in', arg: argExpr, values, negated }, this.schema);
    const literals = values.map((v) => this.lower(v));
    const known = literals.filter((v) => v.op !== 'null');
    const strings = known.map((v) => (v.op === 'string' ? new TextDecoder().decode(v.bytes) : undefined));
    let found: Node;
    if (known.length === 0) found = { op: 'known', value: false, args: [arg], rep: 'bool', type: bool, nullable: arg.nullable };
    else if (arg.op === 'dictString' && strings.every((s) => s !== undefined)) {
      const wanted = new Set(strings);
      found = selectCodes(arg.arg, arg.dictionary, (s) => wanted.has(s));
    } else {
      // All values have one type with the argument, NULLs among them included.
      const [same, ...others] = unified([arg, ...literals]) as [Node, ...Node[]];
      const wanted = others.filter((v) => v.op !== 'null');
      found = inExact(same, wanted) ?? junction('or', wanted.map((v) => compareNodes('eq', same, v)));
    }
    if (known.length < literals.length) found = junction('or', [found, nullNode(type)]);
    return negated ? { op: 'not', arg: found, rep: 'bool', type: bool, nullable: found.nullable } : found;
  }

  #like(argExpr: Expr, pattern: string, negated: boolean): Node {
    const arg = this.lower(argExpr);
    const match: Node =
      arg.op === 'dictString'
        ? selectCodes(arg.arg, arg.dictionary, (s) => matchesLike(s, pattern))
        : { op: 'like', arg, pattern: { text: pattern }, rep: 'bool', type: bool, nullable: arg.nullable };
    return negated ? { op: 'not', arg: match, rep: 'bool', type: bool, nullable: arg.nullable } : match;
  }

  #coalesce(lowered: readonly Node[], type: LogicalType): Node {
    const args = sameRep(lowered.map((a) => (type.kind === 'utf8' ? a : castNode(a, type))));
    const nullable = args.every((a) => a.nullable);
    const ranges = args.filter((a) => a.op !== 'null').flatMap((a) => a.range ?? []);
    const range = args.some((a) => a.range) ? ranges.reduce<Range | undefined>((r, s) => (r ? hull(r, s) : s), undefined) : undefined;
    const first = args[0];
    if (!first) throw new Unsupported('coalesce without arguments');
    return { op: 'coalesce', args, rep: first.rep, type, nullable, ...(range && { range }) };
  }
}

/** Nodes cast to the type they have in common; strings and booleans stay. */
function unified(nodes: readonly Node[]): Node[] {
  const type = nodes.reduce<LogicalType | undefined>((t, n) => t && commonType(t, n.type), nodes[0]?.type);
  if (!type) throw new Unsupported('comparison of types that have none in common');
  return type.kind === 'utf8' || type.kind === 'bool' ? [...nodes] : nodes.map((n) => castNode(n, type));
}

/** Both sides converted to their common type and one representation; bounds decide what they can. */
export function compareNodes(cmp: CompareOp, left: Node, right: Node): Node {
  const nullable = left.nullable || right.nullable;
  if (left.op === 'null' || right.op === 'null') return nullNode(bool);
  if (left.op === 'dictString' && right.op === 'string') return compareCodes(left.arg, left.dictionary, cmp, new TextDecoder().decode(right.bytes));
  if (right.op === 'dictString' && left.op === 'string') return compareCodes(right.arg, right.dictionary, mirrored[cmp], new TextDecoder().decode(left.bytes));
  if (left.op === 'dictString' && right.op === 'dictString' && sameDictionary(left.dictionary, right.dictionary))
    return { op: 'compare', cmp, left: left.arg, right: right.arg, rep: 'bool', type: bool, nullable };
  const type = commonType(left.type, right.type);
  if (!type) throw new Unsupported(`comparison of ${left.type.kind} with ${right.type.kind}`);
  const [a, b] = sameRep(type.kind === 'utf8' || type.kind === 'bool' ? [left, right] : [castNode(left, type), castNode(right, type)]) as [Node, Node];
  const known = a.range && b.range ? decided(cmp, a.range, b.range) : undefined;
  if (known !== undefined) return { op: 'known', value: known, args: [a, b].filter((n) => n.nullable), rep: 'bool', type: bool, nullable };
  return { op: 'compare', cmp, left: a, right: b, rep: 'bool', type: bool, nullable };
}

const mirrored = { eq: 'eq', ne: 'ne', lt: 'gt', le: 'ge', gt: 'lt', ge: 'le' } as const satisfies Record<CompareOp, CompareOp>;

function decided(cmp: CompareOp, a: Range, b: Range): boolean | undefined {
  switch (cmp) {
    case 'eq':
      return disjoint(a, b) ? false : undefined;
    case 'ne':
      return disjoint(a, b) ? true : undefined;
    case 'lt':
      return a.max < b.min ? true : a.min >= b.max ? false : undefined;
    case 'le':
      return a.max <= b.min ? true : a.min > b.max ? false : undefined;
    case 'gt':
      return decided('lt', b, a);
    case 'ge':
      return decided('le', b, a);
    default:
      return cmp satisfies never;
  }
}

/** IN over exact constants of the argument's own type as ranges; undefined: not that simple. */
function inExact(arg: Node, values: readonly Node[]): Node | undefined {
  const type = values.reduce<LogicalType | undefined>((t, v) => t && commonType(t, v.type), arg.type);
  if (!type || isFloat(type) || !typeRange(type)) return undefined;
  const cast = castNode(arg, type);
  const wanted = values.map((v) => castNode(v, type)).map((v) => (v.op === 'const' && typeof v.value === 'bigint' ? v.value : undefined));
  if (wanted.some((v) => v === undefined)) return undefined;
  const ranges: { min: bigint; max: bigint }[] = [];
  for (const value of (wanted as bigint[]).toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))) {
    if (cast.range && (value < cast.range.min || value > cast.range.max)) continue;
    const last = ranges.at(-1);
    if (last && value <= last.max + 1n) last.max = value;
    else ranges.push({ min: value, max: value });
  }
  if (ranges.length > 4096) throw new Unsupported('IN with more than 4096 separate values');
  if (ranges.length === 0) return { op: 'known', value: false, args: [cast], rep: 'bool', type: bool, nullable: cast.nullable };
  return { op: 'inRanges', arg: cast, ranges, rep: 'bool', type: bool, nullable: cast.nullable };
}

function junction(op: 'and' | 'or', args: readonly Node[]): Node {
  if (args.length === 1) return args[0]!;
  const flat = args.flatMap((a) => (a.op === op ? a.args : [a]));
  return { op, args: flat, rep: 'bool', type: bool, nullable: flat.some((a) => a.nullable) };
}

/** i32 and i64 nodes together become i64. */
export function sameRep(nodes: readonly Node[]): Node[] {
  const reps = new Set(nodes.map((n) => n.rep));
  if (reps.size <= 1) return [...nodes];
  const allowed = new Set(['i32', 'i64']);
  if ([...reps].every((r) => allowed.has(r))) return nodes.map((n) => toRep(n, 'i64'));
  const real = nodes.find((n) => n.op !== 'null');
  if (real && nodes.every((n) => n.op === 'null' || n.rep === real.rep)) return nodes.map((n) => (n.op === 'null' ? { ...n, rep: real.rep } : n));
  throw new Unsupported('operands of different kinds');
}

function lowerLiteral(value: null | boolean | number | bigint | string, type: LogicalType): Node {
  if (value === null) return nullNode(type);
  if (typeof value === 'string') {
    if (type.kind !== 'utf8') throw new Unsupported(`a string literal of type ${type.kind}`);
    return { op: 'string', bytes: new TextEncoder().encode(value), rep: 'utf8', type, nullable: false };
  }
  if (type.kind === 'bool') return constNode(Boolean(value), type);
  if (isFloat(type)) return constNode(Number(value), type);
  const exact = BigInt(value);
  if (!repOf({ min: exact, max: exact })) throw new Unsupported(`a literal beyond ${i64Range.max}`);
  return constNode(exact, type);
}

function clampRange(arg: Range, low: Range, high: Range): Range {
  const most = (a: bigint, b: bigint) => (a > b ? a : b);
  const least = (a: bigint, b: bigint) => (a < b ? a : b);
  return { min: least(most(arg.min, low.min), high.min), max: least(most(arg.max, low.max), high.max) };
}
