import { GuestFault, Status } from '../pushdown/runtime/wire.gen.js';
import { MillraceError } from '../pushdown/types/error.js';

/** What a command answered. A status other than Success is a value, never thrown by `send`. */
export interface Completion {
  readonly status: number;
  readonly dw0: number;
  readonly dw1: number;
}

const nameOf = (table: Readonly<Record<string, number>>, value: number) => Object.keys(table).find((k) => table[k] === value) ?? `0x${value.toString(16)}`;
export const statusName = (status: number): string => nameOf(Status, status);
export const guestFaultName = (fault: number): string => nameOf(GuestFault, fault);

const words: Readonly<Record<number, readonly [code: string, detail: string, httpStatus?: number]>> = {
  [Status.NamespaceWriteProtected]: ['MR_WRITE_PROTECTED', 'the blocks are write-protected for this association'],
  [Status.CapacityExceeded]: ['MR_NO_SPACE', 'the device has no room left'],
  [Status.LbaOutOfRange]: ['MR_LBA_RANGE', 'the blocks lie outside the namespace'],
  [Status.ChecksumMismatch]: ['MR_CHECKSUM', 'the data on the media does not match its checksum'],
  [Status.UnrecoveredRead]: ['MR_MEDIA_READ', 'the media could not be read'],
  [Status.WriteFault]: ['MR_MEDIA_WRITE', 'the media could not be written'],
  [Status.NoSuchScan]: ['MR_SCAN_NOT_FOUND', 'the scan is not open in this association'],
  [Status.NoSuchDataset]: ['MR_DATASET_NOT_FOUND', 'the dataset is not (or no longer) on the device: look it up again'],
  [Status.TooManyScans]: ['MR_TOO_MANY_SCANS', 'too many scans are open: close some'],
  [Status.InsufficientResources]: ['MR_DEVICE_LIMIT', 'a bound of the device is reached'],
  [Status.KernelQuarantined]: ['MR_KERNEL_QUARANTINED', 'the kernel kept crashing slots and is not run again: correct it, or let the host run it (pushdown: never)'],
  [Status.AccessDenied]: ['MR_FORBIDDEN', 'the token does not cover these blocks, keys or values: ask for one with the right to their dataset', 403],
  [Status.KernelNotAllowed]: ['MR_KERNEL_NOT_ALLOWED', 'the tenant may not run this kernel: have its digest added to its list, or let the host run it (pushdown: never)', 403],
  [Status.CheckpointInvalid]: ['MR_CHECKPOINT_INVALID', 'this is no whole, undamaged checkpoint of a version known here'],
  [Status.CheckpointMismatch]: ['MR_CHECKPOINT_MISMATCH', 'the checkpoint is of another kernel, another place in the stream, or a slot with other memory'],
  [Status.CheckpointTooBig]: ['MR_CHECKPOINT_TOO_BIG', 'the state of the kernel is more than the device moves (64 MiB)'],
  [Status.InvalidProgramIndex]: ['MR_PROGRAM_NOT_FOUND', 'no such program in this association'],
  [Status.ProgramNotActivated]: ['MR_PROGRAM_NOT_ACTIVE', 'the program is not activated'],
  [Status.AbortRequested]: ['MR_ABORTED', 'the command was aborted'],
};

/** The completion if it succeeded, otherwise a MillraceError; `what` names the action, e.g. "Reading blocks 8..15". */
export function expectSuccess(completion: Completion, what: string): Completion {
  if (completion.status === Status.Success) return completion;
  if (completion.status === Status.GuestFault) {
    const fault = guestFaultName(completion.dw0);
    throw new MillraceError(`MR_KERNEL_${fault.replace(/(?<!^)[A-Z]/g, (c) => `_${c}`).toUpperCase()}`, `${what}: the kernel ended with ${fault}.`);
  }
  const [code, detail, httpStatus] = words[completion.status] ?? ['MR_DEVICE_STATUS', `the device answered ${statusName(completion.status)}`];
  throw new MillraceError(code, `${what}: ${detail}.`, httpStatus === undefined ? {} : { httpStatus });
}
