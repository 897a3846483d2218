import { MillraceError } from '../types/error.js';
import { guestFaultName } from './kernel-fault.js';

/** A guest fault as the error a caller sees: MR_KERNEL_ and its name. */
export function kernelFault(fault: number, detail: string, cause?: unknown): MillraceError {
  return new MillraceError(`MR_KERNEL_${guestFaultName(fault).replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()}`, detail, { httpStatus: 422, ...(cause === undefined ? {} : { cause }) });
}
