/** Bits of one mutable global: low and high 64. */
export interface GlobalBits {
  low(): bigint;
  high(): bigint;
  set(low: bigint, high: bigint): void;
}

/** Per value type: code that leaves the low and the high half of global 0 as an i64, and code that makes a value of locals 0 and 1. */
const code: Readonly<Record<number, { readonly low: readonly number[]; readonly high: readonly number[]; readonly make: readonly number[] }>> = {
  0x7f: { low: [0x23, 0, 0xad], high: [0x42, 0], make: [0x20, 0, 0xa7] }, // i64.extend_i32_u; i32.wrap_i64
  0x7e: { low: [0x23, 0], high: [0x42, 0], make: [0x20, 0] },
  0x7d: { low: [0x23, 0, 0xbc, 0xad], high: [0x42, 0], make: [0x20, 0, 0xa7, 0xbe] }, // i32.reinterpret_f32; f32.reinterpret_i32
  0x7c: { low: [0x23, 0, 0xbd], high: [0x42, 0], make: [0x20, 0, 0xbf] }, // i64.reinterpret_f64; f64.reinterpret_i64
  0x7b: { low: [0x23, 0, 0xfd, 0x1d, 0], high: [0x23, 0, 0xfd, 0x1d, 1], make: [0x20, 0, 0xfd, 0x12, 0x20, 1, 0xfd, 0x1e, 1] }, // i64x2.extract_lane; i64x2.splat, replace_lane
};
const modules = new Map<number, WebAssembly.Module>();

/**
 * A global's value bit by bit. Through a module of its own: JavaScript cannot read a vector at all, and would make another
 * NaN of a NaN.
 */
export function globalBits(global: WebAssembly.Global, valueType: number): GlobalBits {
  let module = modules.get(valueType);
  if (!module) modules.set(valueType, (module = new WebAssembly.Module(accessor(valueType))));
  return new WebAssembly.Instance(module, { k: { g: global } }).exports as unknown as GlobalBits;
}

function accessor(valueType: number): Uint8Array<ArrayBuffer> {
  const parts = code[valueType];
  if (!parts) throw new Error(`invariant broken: a global of type ${valueType}`);
  const sized = (bytes: readonly number[]): number[] => [bytes.length, ...bytes];
  const name = (text: string): number[] => sized(Array.from(text, (c) => c.charCodeAt(0)));
  const body = (bytes: readonly number[]): number[] => sized([0, ...bytes, 0x0b]);
  return Uint8Array.from([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    1, ...sized([2, 0x60, 0, 1, 0x7e, 0x60, 2, 0x7e, 0x7e, 0]),
    2, ...sized([1, ...name('k'), ...name('g'), 3, valueType, 1]),
    3, ...sized([3, 0, 0, 1]),
    7, ...sized([3, ...name('low'), 0, 0, ...name('high'), 0, 1, ...name('set'), 0, 2]),
    10, ...sized([3, ...body(parts.low), ...body(parts.high), ...body([...parts.make, 0x24, 0])]),
  ]);
}
