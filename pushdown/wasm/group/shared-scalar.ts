import type { Local } from '../encoder/function-builder.js';
import type { Node } from '../ir.js';
import { ScalarCompiler, type Validity, valTypesOf } from '../scalar.js';

interface Kept {
  readonly locals: readonly Local[];
  readonly valid: Validity;
}

/** Operators that are evaluated whenever what is above them is: safe to compute ahead. */
const unconditional = new Set<Node['op']>(['column', 'add', 'sub', 'mul', 'div', 'mod', 'convert', 'rescale', 'negate', 'log1p', 'bucketize', 'clamp']);

/** A scalar compiler that computes what several expressions share once per row. */
export class SharedScalarCompiler extends ScalarCompiler {
  readonly #kept = new Map<string, Kept>();

  /** Emits the subexpressions that occur more than once in `roots`, smaller ones first. */
  share(roots: readonly Node[]): void {
    const seen = new Map<string, { node: Node; times: number }>();
    const visit = (node: Node) => {
      if (!unconditional.has(node.op)) return;
      const key = nodeKey(node);
      const known = seen.get(key);
      if (known) {
        known.times++;
        return;
      }
      seen.set(key, { node, times: 1 });
      for (const child of childrenOf(node)) visit(child);
    };
    for (const root of roots) visit(root);
    const shared = [...seen].filter(([, s]) => s.times > 1).sort(([a], [b]) => a.length - b.length);
    for (const [key, { node }] of shared) this.#kept.set(key, this.#compute(node));
  }

  override value(node: Node): Validity {
    const kept = this.#kept.size > 0 && unconditional.has(node.op) ? this.#kept.get(nodeKey(node)) : undefined;
    if (!kept) return super.value(node);
    for (const local of kept.locals) this.f.get(local);
    return kept.valid;
  }

  #compute(node: Node): Kept {
    const valid = super.value(node);
    const locals = valTypesOf(node.rep).map((t) => this.f.local(t));
    for (const local of locals.toReversed()) this.f.set(local);
    return { locals, valid };
  }
}

function childrenOf(node: Node): readonly Node[] {
  switch (node.op) {
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'mod':
      return [node.left, node.right];
    case 'convert':
    case 'rescale':
    case 'negate':
    case 'log1p':
    case 'bucketize':
      return [node.arg];
    case 'clamp':
      return [node.arg, node.low, node.high];
    default:
      return [];
  }
}

const nodeKey = (node: Node): string =>
  JSON.stringify(node, (key, v: unknown) => (key === 'dictionary' ? undefined : typeof v === 'bigint' ? `${v}n` : typeof v === 'number' && (!Number.isFinite(v) || Object.is(v, -0)) ? `#${Object.is(v, -0) ? '-0' : v}` : v));
