import type { FunctionTarget } from '../expr/expr.js';
import { MillraceError } from '../types/error.js';
import type { LogicalType } from '../types/logical.js';
import type { UserModule } from './read-module.js';

const kinds = { bool: 'bool', i32: 'int32', i64: 'int64', f32: 'float32', f64: 'float64', utf8: 'utf8', date: 'date' } as const satisfies Record<string, LogicalType['kind']>;
const reserved = new Set(['process', 'schema', 'finish', 'reset', 'configure', 'input_schema', 'merge', 'finish_merge', 'result_schema', 'error_text', 'alloc', 'release_fn', '_initialize', '_start', 'main', 'heap_top']);

export type FunctionSignature = Omit<FunctionTarget, 'digest'>;

/**
 * The scalar functions of a module: exports whose types its note declares ("(utf8, f64) -> bool"), and others over numbers as
 * WebAssembly types them. Exports whose names begin with `_` are nobody's to call.
 */
export function functionsOf(module: UserModule): FunctionSignature[] {
  const declared = declaredFunctions(module.note);
  const found: FunctionSignature[] = [];
  for (const [name, index] of module.exports) {
    const text = declared[name];
    if (text !== undefined) found.push({ export: name, ...signatureOf(text, name) });
    else if (!reserved.has(name) && !name.startsWith('_')) {
      const { params, results } = module.typeOf(index);
      const types = [...params, ...results].map((t) => (t === 'v128' ? undefined : logical(t)));
      if (results.length === 1 && types.every((t) => t !== undefined)) found.push({ export: name, params: types.slice(0, -1), result: types.at(-1)! }); // one result
    }
  }
  return found;
}

/** @throws MillraceError MR_FUNCTION_SIGNATURE when the text is no signature */
export function signatureOf(text: string, name: string): Pick<FunctionTarget, 'params' | 'result'> {
  const match = /^\(([a-z0-9, ]*)\)\s*->\s*([a-z0-9]+)$/.exec(text.trim());
  const types = match && [...(match[1]!.trim() === '' ? [] : match[1]!.split(',')), match[2]!].map((t) => logical(t.trim())); // the pattern has both groups
  if (!types || types.some((t) => t === undefined)) throw new MillraceError('MR_FUNCTION_SIGNATURE', `'${text}' of ${name} is no signature: write (f64, utf8) -> bool, of ${Object.keys(kinds).join(', ')} and timestamp`, { field: name, httpStatus: 422 });
  const known = types as LogicalType[];
  return { params: known.slice(0, -1), result: known.at(-1)! }; // one result
}

function logical(name: string): LogicalType | undefined {
  if (name === 'timestamp') return { kind: 'timestamp', utc: false };
  return Object.hasOwn(kinds, name) ? { kind: kinds[name as keyof typeof kinds] } : undefined;
}

function declaredFunctions(note: string | undefined): Record<string, string> {
  if (note === undefined) return {};
  try {
    const { functions } = JSON.parse(note) as { functions?: unknown };
    if (typeof functions !== 'object' || functions === null) return {};
    return Object.fromEntries(Object.entries(functions).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
  } catch {
    // A note of somebody else's: what WebAssembly says is left.
    return {};
  }
}
