import { Cns, Csi, Opcode } from '../../../pushdown/runtime/wire.gen.js';
import type { NvmeDevice } from './open-device.js';

const pageBytes = 4096;

export async function identify(device: NvmeDevice, cns: number, nsid = 0, csi = 0): Promise<Uint8Array> {
  return (await device.run('admin', { opc: Opcode.AdminIdentify, nsid, cdw10: cns, cdw11: csi << 24 }, 'Identify', undefined, pageBytes)).data;
}

/** `bytes`: a multiple of 4. */
export async function logPage(device: NvmeDevice, lid: number, bytes: number, csi = 0): Promise<Uint8Array> {
  const dwords = bytes / 4 - 1;
  return (await device.run('admin', { opc: Opcode.AdminGetLogPage, nsid: 0xffffffff, cdw10: lid | ((dwords & 0xffff) << 16), cdw11: dwords >>> 16, cdw14: csi << 24 }, 'Get Log Page', undefined, bytes)).data;
}

/** Active namespaces, ascending. */
export async function namespaces(device: NvmeDevice): Promise<number[]> {
  const words = new DataView((await identify(device, Cns.ActiveNamespaces)).buffer);
  const found: number[] = [];
  for (let at = 0; at < pageBytes; at += 4) {
    const nsid = words.getUint32(at, true);
    if (nsid === 0) break;
    found.push(nsid);
  }
  return found;
}

/** The command set of a namespace: the descriptor of type 4 (NVMe base specification 2.0, figure 278). */
export async function csiOf(device: NvmeDevice, nsid: number): Promise<number> {
  const page = await identify(device, Cns.NamespaceDescriptors, nsid);
  for (let at = 0; at + 4 <= page.length && page[at] !== 0; at += 4 + (page[at + 1] ?? 0)) if (page[at] === 4) return page[at + 4] ?? 0;
  return Csi.Nvm;
}
