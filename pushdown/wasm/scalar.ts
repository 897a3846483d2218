import { invariant } from '../types/error.js';
import type { FunctionBuilder, Local } from './encoder/function-builder.js';
import type { ValType } from './encoder/opcodes.js';
import type { Node, NodeOf, Rep } from './ir.js';
import { copyTextFunction } from './copy-text.js';
import { abi, type InputColumn, type KernelModule } from './kernel-module.js';
import { emitArith, emitBucketize, emitClamp, emitConvert, emitNegate, emitNumberCompare, emitRescale } from './scalar-number.js';
import { emitDictString, emitLike, emitTextCompare } from './scalar-text.js';
import { log1pFunction } from './log1p.js';

/** Longest text a function may give. */
const functionTextBytesMax = 256 << 10;

/** An i32 of 0 or 1 that says whether the value is not NULL; undefined: it never is. */
export type Validity = Local | undefined;

/** Wasm types of a value on the stack; utf8 is address, then bytes. */
export const valTypesOf = (rep: Rep): readonly ValType[] => (rep === 'utf8' ? ['i32', 'i32'] : rep === 'bool' ? ['i32'] : [rep]);

/**
 * Emits any expression for one row: `row`, an i32 local, indexes the input columns. Code may leave the function with -1 (overflow),
 * so `f` must return an i32 status. Values of NULL rows are unspecified but harmless.
 */
export class ScalarCompiler {
  constructor(
    readonly kernel: KernelModule,
    readonly f: FunctionBuilder,
    readonly inputs: readonly InputColumn[],
    readonly row: Local,
  ) {}

  /** Leaves the value on the stack and gives its validity. */
  value(node: Node): Validity {
    const { f } = this;
    switch (node.op) {
      case 'column':
        return this.#column(node);
      case 'const':
        this.#constant(node);
        return undefined;
      case 'string':
        f.i32(this.kernel.data(node.bytes, 1)).i32(node.bytes.length);
        return undefined;
      case 'null':
        this.zero(node.rep);
        return this.#fixed(0);
      case 'known': {
        const valid = this.validityOf(node.args);
        f.i32(node.value ? 1 : 0);
        return valid;
      }
      case 'compare':
        return this.#compare(node);
      case 'and':
      case 'or':
        return this.#junction(node);
      case 'not': {
        const valid = this.value(node.arg);
        f.op('i32.eqz');
        return valid;
      }
      case 'isNull': {
        const valid = this.validityOf([node.arg]);
        if (valid) f.get(valid).op('i32.eqz');
        else f.i32(0);
        return undefined;
      }
      case 'inRanges':
        return this.#inRanges(node);
      case 'inCodes':
        return this.#inCodes(node);
      case 'like':
        return emitLike(this, node);
      case 'add':
      case 'sub':
      case 'mul':
      case 'div':
      case 'mod':
        return emitArith(this, node);
      case 'convert':
        return emitConvert(this, node);
      case 'rescale':
        return emitRescale(this, node);
      case 'negate':
        return emitNegate(this, node);
      case 'coalesce':
        return this.#coalesce(node);
      case 'clamp':
        return emitClamp(this, node);
      case 'log1p': {
        const valid = this.value(node.arg);
        f.call(log1pFunction(this.kernel));
        return valid;
      }
      case 'bucketize':
        return emitBucketize(this, node);
      case 'dictString':
        return emitDictString(this, node);
      case 'call':
        return this.#call(node);
      default:
        return node satisfies never;
    }
  }

  /** Leaves 1 if the boolean is true, 0 if it is false or NULL. */
  truth(node: Node): void {
    const valid = this.value(node);
    if (valid) this.f.get(valid).op('i32.and');
  }

  /** Takes the value off the stack into new locals. */
  store(rep: Rep): Local[] {
    const locals = valTypesOf(rep).map((t) => this.f.local(t));
    for (const local of locals.toReversed()) this.f.set(local);
    return locals;
  }

  /** Validity of a row in all of `nodes`; evaluates what it needs. */
  validityOf(nodes: readonly Node[]): Validity {
    const valid = nodes.map((node): Validity => {
      if (!node.nullable) return undefined;
      if (node.op === 'column') return this.#columnValidity(node);
      if (node.op === 'call') return this.validityOf(node.args);
      const v = this.value(node);
      for (const _ of valTypesOf(node.rep)) this.f.op('drop');
      return v;
    });
    return this.both(...valid);
  }

  /** Valid where every given validity is. */
  both(...parts: readonly Validity[]): Validity {
    const real = parts.filter((p) => p !== undefined);
    if (real.length <= 1) return real[0];
    const { f } = this;
    const out = f.local('i32');
    real.forEach((p, i) => {
      f.get(p);
      if (i > 0) f.op('i32.and');
    });
    f.set(out);
    return out;
  }

  zero(rep: Rep): void {
    const { f } = this;
    if (rep === 'i64') f.i64(0n);
    else if (rep === 'f32') f.f32(0);
    else if (rep === 'f64') f.f64(0);
    else for (const _ of valTypesOf(rep)) f.i32(0);
  }

  #fixed(value: 0 | 1): Local {
    const local = this.f.local('i32');
    this.f.i32(value).set(local);
    return local;
  }

  #constant(node: NodeOf<'const'>): void {
    const { f } = this;
    if (node.rep === 'i64') f.i64(BigInt(node.value));
    else if (node.rep === 'f32') f.f32(Number(node.value));
    else if (node.rep === 'f64') f.f64(Number(node.value));
    else f.i32(Number(node.value));
  }

  #columnValidity(node: NodeOf<'column'>): Validity {
    const input = this.inputs[node.input];
    invariant(input, 'the input is read');
    if (!input.validity) return undefined;
    const valid = this.f.local('i32');
    this.#bit(input.validity);
    this.f.set(valid);
    return valid;
  }

  /** Leaves bit `row` of the bitmap at the address in `base`. */
  #bit(base: Local): void {
    const { f, row } = this;
    f.get(base).get(row).i32(3).op('i32.shr_u', 'i32.add').mem('i32.load8_u');
    f.get(row).i32(7).op('i32.and', 'i32.shr_u').i32(1).op('i32.and');
  }

  #column(node: NodeOf<'column'>): Validity {
    const { f, row } = this;
    const input = this.inputs[node.input];
    invariant(input, 'the input is read');
    const valid = this.#columnValidity(node);
    const at = (shift: number) => {
      f.get(input.data).get(row);
      if (shift > 0) f.i32(shift).op('i32.shl');
      f.op('i32.add');
    };
    const wide = node.rep === 'i64';
    switch (input.column.physical) {
      case 'bool':
        this.#bit(input.data);
        break;
      case 'i8':
      case 'dict8':
        at(0);
        f.mem(wide ? 'i64.load8_s' : 'i32.load8_s');
        break;
      case 'i16':
      case 'dict16':
        at(1);
        f.mem(wide ? 'i64.load16_s' : 'i32.load16_s');
        break;
      case 'i32':
      case 'dict32':
        at(2);
        f.mem(wide ? 'i64.load32_s' : 'i32.load');
        break;
      case 'i64':
        // Bounds may prove that the low half says it all.
        at(3);
        f.mem(wide ? 'i64.load' : 'i32.load');
        break;
      case 'f32':
        at(2);
        f.mem('f32.load');
        break;
      case 'f64':
        at(3);
        f.mem('f64.load');
        break;
      case 'utf8':
        this.#text(input, valid);
        break;
      default:
        invariant(false, 'lowering refuses other storage');
    }
    return valid;
  }

  /** Address and bytes of the string. Offsets are the input's own claim: the reads they lead to stay inside linear memory or trap. */
  #text(input: InputColumn, valid: Validity): void {
    const { f, row } = this;
    invariant(input.offsets, 'utf8 has offsets');
    const entry = f.local('i32');
    const start = f.local('i32');
    f.get(input.offsets).get(row).i32(2).op('i32.shl', 'i32.add').tee(entry).mem('i32.load').set(start);
    f.get(input.data).get(start).op('i32.add');
    f.get(entry).mem('i32.load', 4).get(start).op('i32.sub');
    if (valid) f.i32(0).get(valid).op('select');
    f.release(entry, start);
  }

  #compare(node: NodeOf<'compare'>): Validity {
    if (node.left.rep === 'utf8') return emitTextCompare(this, node);
    return emitNumberCompare(this, node);
  }

  /** Three-valued AND, OR: stops at the first argument that decides, so later ones cannot fail. */
  #junction(node: NodeOf<'and' | 'or'>): Validity {
    const { f } = this;
    const deciding = node.op === 'or';
    // decided: an argument settled it. unknown: a NULL was seen.
    const decided = f.local('i32');
    const unknown = node.nullable ? f.local('i32') : undefined;
    f.i32(0).set(decided);
    if (unknown) f.i32(0).set(unknown);
    node.args.forEach((arg, i) => {
      const one = () => {
        const valid = this.value(arg);
        if (!deciding) f.op('i32.eqz');
        if (valid) {
          f.get(valid).op('i32.and').set(decided);
          if (unknown) f.get(unknown).get(valid).op('i32.eqz', 'i32.or').set(unknown);
        } else f.set(decided);
      };
      if (i === 0) one();
      else f.get(decided).op('i32.eqz').if(one);
    });
    f.get(decided);
    if (!deciding) f.op('i32.eqz');
    if (!unknown) return undefined;
    const valid = f.local('i32');
    f.get(decided).get(unknown).op('i32.eqz', 'i32.or').set(valid);
    return valid;
  }

  /** A decision tree over ascending constant ranges. */
  #inRanges(node: NodeOf<'inRanges'>): Validity {
    const { f } = this;
    const valid = this.value(node.arg);
    const [value] = this.store(node.arg.rep) as [Local];
    const wide = node.arg.rep === 'i64';
    const constant = (v: bigint) => (wide ? f.i64(v) : f.i32(Number(v)));
    const tree = (from: number, to: number): void => {
      if (to - from === 1) {
        const range = node.ranges[from]!;
        f.get(value);
        constant(range.min).op(wide ? 'i64.ge_s' : 'i32.ge_s').get(value);
        constant(range.max).op(wide ? 'i64.le_s' : 'i32.le_s', 'i32.and');
        return;
      }
      const middle = (from + to) >> 1;
      f.get(value);
      constant(node.ranges[middle]!.min)
        .op(wide ? 'i64.lt_s' : 'i32.lt_s')
        .if(() => tree(from, middle), () => tree(middle, to), 'i32');
    };
    tree(0, node.ranges.length);
    return valid;
  }

  #inCodes(node: NodeOf<'inCodes'>): Validity {
    const { f } = this;
    const table = this.kernel.data(node.bitmap, 1);
    const valid = this.value(node.arg);
    const [code] = this.store(node.arg.rep) as [Local];
    // NULL rows hold any code: outside the dictionary means no.
    f.get(code).i32(node.codes).op('i32.lt_u').if(
      () => f.get(code).i32(3).op('i32.shr_u').mem('i32.load8_u', table).get(code).i32(7).op('i32.and', 'i32.shr_u').i32(1).op('i32.and'),
      () => f.i32(0),
      'i32',
    );
    return valid;
  }

  /** A user's function is not called for a row with a NULL argument: it cannot fail there, nor see what the row holds. */
  #call(node: NodeOf<'call'>): Validity {
    const { f } = this;
    const args = node.args.map((arg) => {
      const valid = this.value(arg);
      return { valid, text: arg.rep === 'utf8', locals: this.store(arg.rep) };
    });
    const valid = this.both(...args.map((a) => a.valid));
    const call = () => {
      for (const { text, locals } of args)
        locals.forEach((local, i) => {
          f.get(local);
          // Everything a kernel reads lies behind the modules' memory: a module finds it as far behind its own address 0.
          if (text && i === 0 && node.memory > 0) f.i32(node.memory).op('i32.sub');
        });
      f.call({ index: node.function });
      if (node.rep === 'bool') f.i32(0).op('i32.ne');
    };
    if (node.rep === 'utf8') this.#takeText(node, args.filter((a) => a.text).map((a) => a.locals as [Local, Local]), valid, call);
    else if (!valid) call();
    else f.get(valid).if(call, () => this.zero(node.rep), node.rep === 'bool' ? 'i32' : (node.rep as ValType));
    f.release(...args.flatMap((a) => a.locals));
    return valid;
  }

  /**
   * Takes a copy of the text that `call` leaves as address and bytes: the module may use the same memory in its next call, in this row too.
   * The text must lie in the module's own memory or in one of its arguments.
   */
  #takeText(node: NodeOf<'call'>, texts: readonly [Local, Local][], valid: Validity, call: () => void): void {
    const { f, kernel } = this;
    const copy = kernel.scratch(node, functionTextBytesMax);
    const bytes = f.local('i32');
    const [given, start, end] = [f.local('i64'), f.local('i64'), f.local('i64')];
    const take = () => {
      call();
      f.tee(given).i64(0xffff_ffffn).op('i64.and').i64(BigInt(node.memory)).op('i64.add').tee(start).get(given).i64(32n).op('i64.shr_u', 'i64.add').tee(end);
      f.i64(BigInt(node.memoryEnd)).op('i64.le_u');
      for (const [at, length] of texts) {
        f.get(start).get(at).op('i64.extend_i32_u', 'i64.ge_u').get(end).get(at).op('i64.extend_i32_u').get(length).op('i64.extend_i32_u', 'i64.add', 'i64.le_u', 'i32.and', 'i32.or');
      }
      f.op('i32.eqz').if(() => f.i32(abi.textOutside).op('return'));
      f.get(given).i64(32n).op('i64.shr_u', 'i32.wrap_i64').tee(bytes).i32(functionTextBytesMax).op('i32.gt_u').if(() => f.i32(abi.textTooLong).op('return'));
      f.i32(copy).get(start).op('i32.wrap_i64').get(bytes).call(copyTextFunction(kernel));
    };
    if (valid) f.i32(0).set(bytes).get(valid).if(take);
    else take();
    f.i32(copy).get(bytes);
    f.release(bytes, given, start, end);
  }

  #coalesce(node: NodeOf<'coalesce'>): Validity {
    const { f } = this;
    const out = valTypesOf(node.rep).map((t) => f.local(t));
    const found = f.local('i32');
    const take = (arg: Node) => {
      const valid = this.value(arg);
      for (const local of out.toReversed()) f.set(local);
      if (valid) f.get(valid).set(found);
      else f.i32(1).set(found);
    };
    node.args.forEach((arg, i) => {
      if (i === 0) take(arg);
      else f.get(found).op('i32.eqz').if(() => take(arg));
    });
    for (const local of out) f.get(local);
    return node.nullable ? found : undefined;
  }
}
