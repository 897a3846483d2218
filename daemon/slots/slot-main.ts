// The script of a slot process: warm V8, close the jail, then take commands from the ring for ever. Never returns to the
// event loop: after seal() there is no file, no thread and no timer.
//   slot-main.js --addon PATH --parent PID --slm-bytes N --scan-bytes N --heap-bytes N --view-extents N --view-room N
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { MillraceError } from '../../pushdown/types/error.js';
import type { KernelInstance } from '../../pushdown/runtime/kernel.js';
import { KernelFault } from '../../pushdown/runtime/kernel-fault.js';
import { GuestFault, Opcode, Status } from '../../pushdown/runtime/wire.gen.js';
import type { SlotAddon } from './slot-addon.js';
import { executeMorsel, type Morsel, MorselStopped, readMorsel } from './slot-execute.js';
import { SlotPrograms } from './slot-programs.js';
import { readStreamOrder, SlotStream, type StreamOrder } from './slot-stream.js';

const { values } = parseArgs({ options: { addon: { type: 'string' }, parent: { type: 'string' }, 'slm-bytes': { type: 'string' }, 'scan-bytes': { type: 'string' }, 'heap-bytes': { type: 'string' }, 'view-extents': { type: 'string' }, 'view-room': { type: 'string' } } });
const addon = createRequire(import.meta.url)(values.addon as string) as SlotAddon;

/** fault_text.h takes no more of what a fault says. */
const faultTextBytesMax = 512;
const encoder = new TextEncoder();
const data = addon.open();
// Pieces of the media, as (offset, bytes): they stand at the start of the data region until the first command comes.
const view = Float64Array.from(new BigUint64Array(data, 0, 2 * Number(values['view-extents'])), Number);
const programs = new SlotPrograms(addon, Number(values['slm-bytes']), Number(values['scan-bytes']), Number(values['heap-bytes']), { media: view, roomBytes: Number(values['view-room']) });
const stream = new SlotStream(programs);
/** What a checkpoint is refused with. */
const refusals: Readonly<Record<string, number>> = { MR_CHECKPOINT_INVALID: Status.CheckpointInvalid, MR_CHECKPOINT_MISMATCH: Status.CheckpointMismatch };
warm();
const jail = addon.seal(Number(values.parent), Number(process.env.MILLRACE_JAIL ?? 0));
serve();

/** V8 starts its SIMD code generator, trap handler and code space once: (v128.const 0) as i64, added to 41 + 1. */
function warm(): void {
  const module = new WebAssembly.Module(Uint8Array.of(
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7e, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0, 10, 31, 1, 29, 0,
    0xfd, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfd, 29, 0, 0x42, 41, 0x42, 1, 0x7c, 0x7c, 11,
  ));
  const { f } = new WebAssembly.Instance(module).exports as { f: () => bigint };
  if (f() !== 42n) addon.die('WebAssembly SIMD does not count');
}

function serve(): void {
  const fields = new Float64Array(5);
  const view = new DataView(data);
  try {
    for (;;) {
      while (programs.untidy && !addon.waiting()) programs.tidy();
      addon.next(fields);
      const [opcode, cid, cdw10, prp1, prp2] = fields as unknown as [number, number, number, number, number];
      switch (opcode) {
        case Opcode.AdminIdentify: addon.complete(cid, Status.Success, jail, 0); break;
        case Opcode.AdminLoadProgram: answer(cid, () => programs.drop(cdw10), prp1, () => { programs.load(cdw10, new Uint8Array(data.slice(prp1, prp1 + prp2))); return 0; }); break;
        case Opcode.Execute: execute(cid, readMorsel(view, prp1, programs.windowAddress)); break;
        case Opcode.SlotRestore: restore(cid, readStreamOrder(view, prp1)); break;
        case Opcode.SlotCheckpoint: checkpoint(cid, readStreamOrder(view, prp1)); break;
        default: addon.complete(cid, Status.InvalidOpcode, 0, 0);
      }
    }
  } catch (thrown) {
    // A guest fault never comes here: this is our own bug, and the supervisor starts another process.
    addon.die(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
  }
}

function execute(cid: number, morsel: Morsel): void {
  const area = new Uint8Array(data, morsel.outOffset, morsel.outBytes);
  const run = (instance: KernelInstance) => executeMorsel(instance, morsel, area, moreOf(cid), process.hrtime.bigint);
  if (morsel.stream) {
    const instance = stream.instance(morsel.scan);
    if (!instance) addon.complete(cid, Status.CommandSequenceError, 0, 0);
    else answer(cid, () => stream.forget(), morsel.outOffset, () => run(instance));
    return;
  }
  if (!programs.has(morsel.program)) {
    addon.complete(cid, Status.InvalidProgramIndex, 0, 0);
    return;
  }
  if (morsel.only) {
    // Nothing a kernel kept from an earlier command, perhaps another host's, is there; its first instruction sees its ranges only.
    programs.drop(morsel.program);
    addon.show(morsel.only);
  }
  answer(cid, () => programs.drop(morsel.program), morsel.outOffset, () => run(programs.instance(morsel.program, morsel.columns.length)));
  if (morsel.only) {
    programs.drop(morsel.program);
    addon.show();
  }
}

function restore(cid: number, order: StreamOrder): void {
  if (order.forget) {
    stream.forget();
    addon.complete(cid, Status.Success, 0, 0);
  } else if (!programs.has(order.program)) addon.complete(cid, Status.InvalidProgramIndex, 0, 0);
  else {
    const piece = new Uint8Array(data, order.areaOffset, order.areaBytes);
    answer(cid, () => stream.forget(), order.areaOffset, () => { stream.restore(order, piece); return 0; });
  }
}

function checkpoint(cid: number, order: StreamOrder): void {
  if (!stream.instance(order.scan)) {
    addon.complete(cid, Status.CommandSequenceError, 0, 0);
    return;
  }
  const area = new Uint8Array(data, order.areaOffset, order.areaBytes);
  answer(cid, () => stream.forget(), order.areaOffset, () => {
    const bytes = stream.checkpoint(area, moreOf(cid));
    // It goes on elsewhere: here it would be the same state a second time.
    stream.forget();
    return bytes;
  });
}

/** Hands a full output area over and waits until it is free. */
function moreOf(cid: number): (bytes: number) => void {
  return (bytes) => { if (!addon.completeMore(cid, bytes)) throw new MorselStopped(); };
}

/**
 * Completes the command with what `run` returns in dw0, or with its fault and, at `textAt` of the data region, what there is to
 * say. What did not end well is forgotten: its state may be anything.
 */
function answer(cid: number, forget: () => void, textAt: number, run: () => number): void {
  let dw0 = 0;
  let text = '';
  let fault: number = GuestFault.Timeout;
  let refusal: number = Status.Success;
  const returned = addon.guard(cid, () => {
    try {
      dw0 = run();
      fault = GuestFault.None;
    } catch (thrown) {
      if (thrown instanceof KernelFault) { fault = thrown.fault; text = thrown.message; }
      else if (thrown instanceof MillraceError && refusals[thrown.code] !== undefined) refusal = refusals[thrown.code] as number;
      else if (!(thrown instanceof MorselStopped)) throw thrown;
    }
  });
  // A stop unwinds past every catch above, so `fault` says Timeout by default.
  if (returned && fault === GuestFault.None) {
    addon.complete(cid, Status.Success, dw0, 0);
    return;
  }
  forget();
  if (refusal !== Status.Success) {
    addon.complete(cid, refusal, 0, 0);
    return;
  }
  const { written } = encoder.encodeInto(text, new Uint8Array(data, textAt, faultTextBytesMax));
  // Bit 0 of dw1 would say that more completions follow.
  addon.complete(cid, Status.GuestFault, fault, written * 2);
}
