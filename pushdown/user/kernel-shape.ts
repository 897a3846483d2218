import { compileEngine } from './engine.js';
import { GuestMemory, type OutputFormat, readSchema } from '../runtime/arrow-c.js';
import { asKernelFault, KernelFault } from '../runtime/kernel-fault.js';
import { GuestFault } from '../runtime/wire.gen.js';
import type { KernelTarget } from '../plan/plan.js';
import { naturalPhysical } from '../plan/schema.js';
import type { LogicalType } from '../types/logical.js';
import type { Column } from '../types/schema.js';
import type { BaseModule } from '../wasm/encoder/base-module.js';
import { composeProbe } from './compose.js';

interface Probe {
  readonly memory: WebAssembly.Memory;
  readonly exports: { reset(): void; begin(): number; schema(): number; input_schema?(): number; result_schema?(): number; error_text?(): number; merge?: unknown };
}

/**
 * What a kernel says of its columns, given these parameters: its own functions are asked. Throws KernelFault: ModuleRejected when it is
 * no kernel, KernelError with its own words when it refuses the parameters.
 */
export function kernelShape(user: BaseModule, params: Uint8Array): Omit<KernelTarget, 'digest'> {
  const { memory, exports } = instantiate(composeProbe(user, params), user);
  try {
    exports.reset();
    const refused = exports.begin() !== 0;
    const text = exports.error_text ? new GuestMemory(memory).text(exports.error_text() >>> 0, 'error_text') : '';
    if (refused) throw new KernelFault(GuestFault.KernelError, text || 'the kernel refuses its parameters');
    const formats = (address: number): OutputFormat[] => readSchema(new GuestMemory(memory), address >>> 0);
    const output = columnsOf(formats(exports.schema()));
    const merged = exports.merge ? (exports.result_schema ? columnsOf(formats(exports.result_schema())) : output) : undefined;
    return { input: exports.input_schema ? inputOf(formats(exports.input_schema())) : undefined, output, merged };
  } catch (thrown) {
    throw asKernelFault(thrown);
  }
}

function instantiate(bytes: Uint8Array<ArrayBuffer>, user: BaseModule): Probe {
  const module = compileEngine(bytes);
  // What lies behind the user's own pages: parameters and the structs of a kernel without columns.
  const memory = new WebAssembly.Memory({ initial: user.memoryPages + 20, maximum: user.memoryPages + 20 });
  return { memory, exports: new WebAssembly.Instance(module, { millrace: { memory } }).exports as unknown as Probe['exports'] };
}

/** Output columns as a client sees them. Throws KernelFault on a format that is no type. */
export function columnsOf(formats: readonly OutputFormat[]): Column[] {
  return formats.map(({ format, name, nullable }, i): Column => {
    const type = typeOfFormat(format);
    return { name: name || `c${i}`, type, physical: format.startsWith('d:') ? 'i128' : naturalPhysical(type), nullable };
  });
}

/** The last column of an input may be called `...`, or something that ends so: it stands for any number of them. */
function inputOf(formats: readonly OutputFormat[]): NonNullable<KernelTarget['input']> {
  const repeatsLast = formats.at(-1)?.name.endsWith('...') ?? false;
  return { columns: formats.map(({ format, name }) => ({ name: name.replace(/\.\.\.$/, '') || 'column', type: typeOfFormat(format) })), repeatsLast };
}

function typeOfFormat(format: string): LogicalType {
  switch (format) {
    case 'b':
      return { kind: 'bool' };
    case 'c':
      return { kind: 'int8' };
    case 's':
      return { kind: 'int16' };
    case 'i':
      return { kind: 'int32' };
    case 'l':
      return { kind: 'int64' };
    case 'f':
      return { kind: 'float32' };
    case 'g':
      return { kind: 'float64' };
    case 'u':
      return { kind: 'utf8' };
    default: {
      const [precision, scale] = format.slice(2).split(',').map(Number) as [number, number];
      if (!(precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision)) throw new KernelFault(GuestFault.AbiViolation, `the format '${format}' is no decimal`);
      return { kind: 'decimal', precision, scale };
    }
  }
}
