import { Sqe } from '../../pushdown/runtime/wire.gen.js';
import type { Entry } from './case.js';

/** The 64 bytes of an entry; cid, PSDT and the data pointer are still the transport's to fill in. */
export function entryBytes(entry: Entry): Buffer {
  const sqe = Buffer.alloc(Sqe.bytes);
  sqe.writeUInt8(entry.opc, Sqe.opc);
  sqe.writeUInt8(entry.flags ?? 0, Sqe.flags);
  const { nsid = 0, cdw2 = 0, cdw3 = 0, cdw4 = 0, cdw5 = 0, cdw10 = 0, cdw11 = 0, cdw12 = 0, cdw13 = 0, cdw14 = 0, cdw15 = 0 } = entry;
  for (const [at, value] of [[Sqe.nsid, nsid], [Sqe.cdw2, cdw2], [Sqe.cdw3, cdw3], [Sqe.mptr, cdw4], [Sqe.mptr + 4, cdw5], [Sqe.cdw10, cdw10], [Sqe.cdw11, cdw11], [Sqe.cdw12, cdw12], [Sqe.cdw13, cdw13], [Sqe.cdw14, cdw14], [Sqe.cdw15, cdw15]] as const)
    sqe.writeUInt32LE(value >>> 0, at);
  return sqe;
}
