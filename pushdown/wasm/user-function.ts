import type { FunctionTarget } from '../expr/expr.js';
import { typeName } from '../expr/infer.js';
import { MillraceError } from '../types/error.js';
import type { LogicalType } from '../types/logical.js';
import type { BaseModule } from './encoder/base-module.js';
import type { Rep } from './ir.js';
import { valTypesOf } from './scalar.js';

/** How a value of the type comes to a user's function and back; text is two arguments, address and bytes, and one result of both. */
export function functionRep(type: LogicalType): Rep {
  switch (type.kind) {
    case 'bool':
      return 'bool';
    case 'int32':
    case 'date':
      return 'i32';
    case 'int64':
    case 'timestamp':
      return 'i64';
    case 'float32':
      return 'f32';
    case 'float64':
      return 'f64';
    case 'utf8':
      return 'utf8';
    default:
      throw signature(`${typeName(type)} does not cross to a function: bool, int32, int64, float32, float64, utf8, date and timestamp do`);
  }
}

/** The function's index in its module, which must have the WebAssembly type its target says. @throws MillraceError MR_FUNCTION_SIGNATURE */
export function checkFunctionType(module: BaseModule, name: string, target: FunctionTarget): number {
  const index = module.exports.get(target.export);
  const type = index === undefined ? undefined : module.types[module.functions[index] ?? -1];
  if (index === undefined || !type) throw signature(`${name} is not a function its module exports`);
  const wanted = target.params.flatMap((param) => valTypesOf(functionRep(param)));
  // A text comes back as one number, since not every language gives two: its address, and above 32 bits its bytes.
  const result = target.result.kind === 'utf8' ? 'i64' : valTypesOf(functionRep(target.result))[0];
  if (type.params.join() !== wanted.join() || type.results.join() !== result)
    throw signature(`${name} is (${type.params.join(', ')}) -> (${type.results.join(', ')}) in its module, where (${wanted.join(', ')}) -> (${result}) belongs`);
  return index;
}

const signature = (detail: string) => new MillraceError('MR_FUNCTION_SIGNATURE', detail, { httpStatus: 422 });
