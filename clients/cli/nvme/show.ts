import { Cns, Csi, Lid } from '../../../pushdown/runtime/wire.gen.js';
import { textTable } from '../output/table.js';
import { adminName, csiNames, ioName } from './command-names.js';
import { csiOf, identify, logPage, namespaces } from './identify.js';
import { jsonText } from './json-text.js';
import type { NvmeDevice } from './open-device.js';
import { fieldLines, type PageValue, readFields } from './page-fields.js';
import { controllerFields, errorEntryBytes, errorFields, kvNamespaceFields, namespaceFields, otherNamespaceFields, powerStateFields, smartFields } from './pages.js';

export type Format = 'normal' | 'json';
const json = (value: unknown): string => `${jsonText(value)}\n`;
const number = (value: PageValue | undefined): number => Number(value ?? 0);

export async function list(device: NvmeDevice, format: Format): Promise<string> {
  const controller = readFields(await identify(device, Cns.Controller), controllerFields);
  const devices = [];
  for (const nsid of await namespaces(device)) {
    const csi = await csiOf(device, nsid);
    const space = csi === Csi.Nvm ? await nvmSpace(device, nsid) : readFields(await identify(device, Cns.CsNamespace, nsid, csi), otherNamespaceFields);
    const sector = csi === Csi.Nvm ? number(space.sector) : 0;
    const unit = sector || 1;
    devices.push({
      NameSpace: nsid, DevicePath: device.path, GenericPath: device.path, Firmware: controller.fr, ModelNumber: controller.mn, SerialNumber: controller.sn,
      UsedBytes: number(space.nuse) * unit, MaximumLBA: sector ? number(space.nsze) : 0, PhysicalSize: number(space.nsze) * unit, SectorSize: sector, csi,
    });
  }
  if (format === 'json') return json({ Devices: devices.map(({ csi: _, ...rest }) => rest) });
  const columns = [['Node', false], ['SN', false], ['Model', false], ['Namespace', true], ['Command set', false], ['Usage', true], ['Size', true], ['Format', false], ['FW Rev', false]] as const;
  return textTable(
    columns.map(([name, numeric]) => ({ name, numeric })),
    devices.map((d) => [d.DevicePath, String(d.SerialNumber), String(d.ModelNumber), `0x${d.NameSpace.toString(16)}`, csiNames[d.csi] ?? String(d.csi), String(d.UsedBytes), String(d.PhysicalSize), d.SectorSize ? `${d.SectorSize} B + 0 B` : '-', String(d.Firmware)]),
  );
}

async function nvmSpace(device: NvmeDevice, nsid: number): Promise<Record<string, PageValue>> {
  const page = await identify(device, Cns.Namespace, nsid);
  return { ...readFields(page, namespaceFields), sector: 2 ** (lbaFormats(page)[0]?.ds ?? 0) };
}

export async function idCtrl(device: NvmeDevice, format: Format): Promise<string> {
  const page = await identify(device, Cns.Controller);
  const values = readFields(page, controllerFields);
  const psds = Array.from({ length: number(values.npss) + 1 }, (_, i) => readFields(page.subarray(2048 + 32 * i), powerStateFields));
  if (format === 'json') return json({ ...values, psds });
  const states = psds.map((psd, i) => `ps ${String(i).padStart(5)}  : ${Object.entries(psd).map(([name, value]) => `${name}:${value}`).join(' ')}\n`);
  return `NVME Identify Controller:\n${fieldLines(values, controllerFields)}${states.join('')}`;
}

const lbaFormats = (page: Uint8Array): { ms: number; ds: number; rp: number; in_use: number }[] => {
  const view = new DataView(page.buffer, page.byteOffset);
  return Array.from({ length: view.getUint8(25) + 1 }, (_, i) => ({ ms: view.getUint16(128 + 4 * i, true), ds: view.getUint8(130 + 4 * i), rp: view.getUint8(131 + 4 * i) & 3, in_use: Number(i === (view.getUint8(26) & 15)) }));
};

/** Identify Namespace; of other command sets than NVM what they tell (CNS 05h). */
export async function idNs(device: NvmeDevice, nsid: number, format: Format): Promise<string> {
  const csi = await csiOf(device, nsid);
  const page = csi === Csi.Nvm ? await identify(device, Cns.Namespace, nsid) : await identify(device, Cns.CsNamespace, nsid, csi);
  const fields = csi === Csi.Nvm ? namespaceFields : csi === Csi.Kv ? kvNamespaceFields : otherNamespaceFields;
  const values = readFields(page, fields);
  const lbafs = csi === Csi.Nvm ? lbaFormats(page) : [];
  if (format === 'json') return json(csi === Csi.Nvm ? { ...values, lbafs, vs: [] } : { csi, ...values });
  const formats = lbafs.map((f, i) => `lbaf ${String(i).padStart(2)} : ms:${f.ms} lbads:${f.ds} rp:${f.rp}${f.in_use ? ' (in use)' : ''}\n`);
  return `NVME Identify Namespace ${nsid}:\n${fieldLines(values, fields, 8)}${formats.join('')}`;
}

export async function listNs(device: NvmeDevice, format: Format): Promise<string> {
  const found = await namespaces(device);
  return format === 'json' ? json({ nsid_list: found.map((nsid) => ({ nsid })) }) : found.map((nsid, i) => `[${String(i).padStart(4)}]:0x${nsid.toString(16)}\n`).join('');
}

export async function smartLog(device: NvmeDevice, format: Format): Promise<string> {
  const values = readFields(await logPage(device, Lid.Health, 512), smartFields);
  return format === 'json' ? json(values) : `Smart Log for NVME device:${device.path} namespace-id:ffffffff\n${fieldLines(values, smartFields, 38)}`;
}

/** `entries`: at most so many; absent: all the device keeps. */
export async function errorLog(device: NvmeDevice, entries: number | undefined, format: Format): Promise<string> {
  const { elpe } = readFields(await identify(device, Cns.Controller), controllerFields);
  const count = Math.min(entries ?? 64, number(elpe) + 1);
  const page = await logPage(device, Lid.Error, count * errorEntryBytes);
  const errors = Array.from({ length: count }, (_, i) => {
    const values = readFields(page.subarray(i * errorEntryBytes), errorFields);
    return { ...values, status_field: number(values.status_field) >> 1, phase_tag: number(values.phase_tag) & 1 };
  });
  if (format === 'json') return json({ errors });
  return `Error Log Entries for device:${device.path} entries:${count}\n.................\n${errors.map((error, i) => ` Entry[${String(i).padStart(2)}]\n.................\n${fieldLines(error, errorFields, 20)}.................\n`).join('')}`;
}

/** One command set, or every one the device has. */
export async function effectsLog(device: NvmeDevice, csi: number | undefined, format: Format): Promise<string> {
  const sets = csi === undefined ? [Csi.Nvm, Csi.Kv, Csi.Slm, Csi.Compute] : [csi];
  const logs = [];
  for (const set of sets) {
    const page = await logPage(device, Lid.CommandEffects, 4096, set);
    const view = new DataView(page.buffer, page.byteOffset);
    const of = (from: number, key: (opc: number) => string): Record<string, number> =>
      Object.fromEntries(Array.from({ length: 256 }, (_, opc) => [key(opc), view.getUint32(from + 4 * opc, true)] as const).filter(([, effect]) => (effect & 1) !== 0));
    logs.push({ command_set_identifier: set, admin_cmd_set: of(0, (opc) => `ACS_${opc} (${adminName(opc)})`), io_cmd_set: of(1024, (opc) => `IOCS_${opc} (${ioName(set, opc)})`) });
  }
  if (format === 'json') return json(logs);
  const lines = (effects: Record<string, number>) => Object.entries(effects).map(([name, effect]) => `${name.padEnd(50)} ${effect.toString(16).padStart(8, '0')}\n`).join('');
  return logs.map((log) => `Command set ${csiNames[log.command_set_identifier] ?? log.command_set_identifier}\nAdmin Commands\n${lines(log.admin_cmd_set)}I/O Commands\n${lines(log.io_cmd_set)}`).join('\n');
}
