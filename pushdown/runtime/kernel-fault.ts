import { GuestFault } from './wire.gen.js';

export type GuestFaultCode = (typeof GuestFault)[keyof typeof GuestFault];

/** A fault of the guest: the kernel did something it may not, or ran into a cap. Ends its command only; never our bug. */
export class KernelFault extends Error {
  override readonly name = 'KernelFault';
  constructor(
    readonly fault: GuestFaultCode,
    detail: string,
  ) {
    super(`${guestFaultName(fault)}: ${detail}`);
  }
}

export function guestFaultName(code: number): string {
  return Object.entries(GuestFault).find(([, value]) => value === code)?.[0] ?? `GuestFault ${code}`;
}

/** The text of a Fault frame for people; the device has made one line of well-formed UTF-8 of it. Empty: none. */
export function faultText(buffers: readonly Uint8Array[]): string {
  return new TextDecoder().decode(buffers[0]?.subarray(0, 512));
}

/** Engines word their traps differently; V8, SpiderMonkey and JavaScriptCore all contain one of these. */
const trapPatterns: readonly (readonly [RegExp, GuestFaultCode])[] = [
  [/unreachable/i, GuestFault.TrapUnreachable],
  [/out of bounds|out-of-bounds/i, GuestFault.TrapOutOfBounds],
  [/divide|division|remainder|unrepresentable|integer overflow|truncat/i, GuestFault.TrapDivide],
  [/call stack|recursion/i, GuestFault.StackOverflow],
];

/**
 * What a guest call threw, as a fault. Anything that is neither a trap nor a stack overflow is our own bug and comes back
 * unchanged, so that the two are never mixed up.
 */
export function asKernelFault(thrown: unknown): unknown {
  if (thrown instanceof KernelFault) return thrown;
  if (thrown instanceof WebAssembly.RuntimeError) {
    const fault = trapPatterns.find(([pattern]) => pattern.test(thrown.message))?.[1] ?? GuestFault.TrapUnreachable;
    return new KernelFault(fault, thrown.message);
  }
  if (thrown instanceof RangeError && /call stack|recursion/i.test(thrown.message)) return new KernelFault(GuestFault.StackOverflow, thrown.message);
  return thrown;
}
