import { Cns, Csi, Fid, Lid, Nsid, Opcode, type Status } from '../../pushdown/runtime/wire.gen.js';
import type { Case, Entry, Step, Word } from './case.js';
import { reservedCases } from './reserved.js';

type StatusName = keyof typeof Status;
const all = 0xffffffff;
const page = 4096;

const admin = (entry: Entry, status: StatusName, more: Partial<Step> = {}): Step => ({ queue: 0, entry, status, ...more });
const one = (command: string, name: string, step: Step): Case => ({ command, name, steps: [step] });

// Identify

const identify = (cns: number, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.AdminIdentify, cdw10: cns, ...more });
const got = (name: string, entry: Entry, get?: readonly Word[]) => one('Identify', name, admin(entry, 'Success', { bytes: page, ...(get ? { get } : {}) }));
const not = (name: string, entry: Entry, status: StatusName, bytes = page) => one('Identify', name, admin(entry, status, { bytes }));
const csis = [Csi.Nvm, Csi.Slm, Csi.Compute];
const namespaceOf: Readonly<Record<number, number>> = { [Csi.Nvm]: Nsid.Nvm, [Csi.Slm]: Nsid.Slm, [Csi.Compute]: Nsid.Compute };

const identifyCases: Case[] = [
  got('controller', identify(Cns.Controller), [[80, 0x20000]]),
  got('namespace 1', identify(Cns.Namespace, { nsid: Nsid.Nvm }), [[128, 12 << 16]]),
  got('namespace 4', identify(Cns.Namespace, { nsid: Nsid.Raw }), [[0, 4096], [128, 12 << 16]]),
  not('namespace of SLM in the structure of blocks', identify(Cns.Namespace, { nsid: Nsid.Slm }), 'InvalidIoCommandSet'),
  not('namespace of programs in the structure of blocks', identify(Cns.Namespace, { nsid: Nsid.Compute }), 'InvalidIoCommandSet'),
  ...[0, 99, 0xfffffffe, all].map((nsid) => not(`namespace ${nsid.toString(16)}h`, identify(Cns.Namespace, { nsid }), 'InvalidNamespace')),
  got('active namespaces', identify(Cns.ActiveNamespaces), [[0, Nsid.Nvm], [4, Nsid.Slm], [8, Nsid.Compute], [12, Nsid.Raw]]),
  got('active namespaces above 3', identify(Cns.ActiveNamespaces, { nsid: 3 }), [[0, Nsid.Raw]]),
  got('active namespaces above fffffffdh', identify(Cns.ActiveNamespaces, { nsid: 0xfffffffd }), [[0, 0]]),
  ...[0xfffffffe, all].map((nsid) => not(`active namespaces above ${nsid.toString(16)}h`, identify(Cns.ActiveNamespaces, { nsid }), 'InvalidNamespace')),
  ...[Nsid.Nvm, Nsid.Slm, Nsid.Compute, Nsid.Raw].map((nsid) => got(`descriptors of namespace ${nsid}`, identify(Cns.NamespaceDescriptors, { nsid }), [[0, 0x1002], [20, 0x1003], [40, 0x0104]])),
  ...[0, 99, all].map((nsid) => not(`descriptors of namespace ${nsid.toString(16)}h`, identify(Cns.NamespaceDescriptors, { nsid }), 'InvalidNamespace')),
  ...csis.map((csi) => got(`namespace of CSI ${csi}`, identify(Cns.CsNamespace, { nsid: namespaceOf[csi]!, cdw11: csi << 24 }))),
  ...csis.map((csi) => not(`namespace of another set than CSI ${csi}`, identify(Cns.CsNamespace, { nsid: csi === Csi.Nvm ? Nsid.Slm : Nsid.Nvm, cdw11: csi << 24 }), 'InvalidIoCommandSet')),
  ...csis.flatMap((csi) => [0, 99, all].map((nsid) => not(`namespace ${nsid.toString(16)}h of CSI ${csi}`, identify(Cns.CsNamespace, { nsid, cdw11: csi << 24 }), 'InvalidNamespace'))),
  ...csis.map((csi) => got(`controller for CSI ${csi}`, identify(Cns.CsController, { cdw11: csi << 24 }))),
  ...[Cns.CsNamespace, Cns.CsController, Cns.CsActiveNamespaces].flatMap((cns) => [Csi.Zoned, 5, 0xff].map((csi) => not(`CNS ${cns.toString(16)}h for CSI ${csi}`, identify(cns, { nsid: cns === Cns.CsNamespace ? Nsid.Nvm : 0, cdw11: csi << 24 }), 'InvalidIoCommandSet'))),
  got('active namespaces of CSI 0', identify(Cns.CsActiveNamespaces), [[0, Nsid.Nvm], [4, Nsid.Raw], [8, 0]]),
  got('active namespaces of CSI 3', identify(Cns.CsActiveNamespaces, { cdw11: Csi.Slm << 24 }), [[0, Nsid.Slm], [4, 0]]),
  got('active namespaces of CSI 4', identify(Cns.CsActiveNamespaces, { cdw11: Csi.Compute << 24 }), [[0, Nsid.Compute], [4, 0]]),
  ...[Nsid.Nvm, Nsid.Slm, Nsid.Compute, Nsid.Raw].map((nsid) => got(`what namespace ${nsid} has in common with all`, identify(Cns.IndependentNamespace, { nsid }), [[12, 1 << 16]])),
  ...[0, 99, all].map((nsid) => not(`what namespace ${nsid.toString(16)}h has in common with all`, identify(Cns.IndependentNamespace, { nsid }), 'InvalidNamespace')),
  got('command sets of this controller', identify(Cns.IoCommandSets | (0xffff << 16)), [[0, 0b11011], [8, 0]]),
  not('command sets of another controller', identify(Cns.IoCommandSets | (0xfff0 << 16)), 'InvalidField'),
  ...[0x04, 0x09, 0x0a, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x1a, 0x1b, 0x1d, 0x1e, 0x1f, 0x20, 0x80, 0xff].map((cns) => not(`CNS ${cns.toString(16)}h`, identify(cns, { nsid: 1 }), 'InvalidField')),
  ...[Cns.Controller, Cns.CsController, Cns.IoCommandSets].map((cns) => not(`CNS ${cns.toString(16)}h with a namespace`, identify(cns | (cns === Cns.IoCommandSets ? 0xffff << 16 : 0), { nsid: 1 }), 'InvalidNamespace')),
  ...[Cns.Namespace, Cns.Controller, Cns.ActiveNamespaces, Cns.NamespaceDescriptors, Cns.IndependentNamespace].flatMap((cns) => {
    const nsid = cns === Cns.Controller ? 0 : 1;
    return [
      not(`CNS ${cns.toString(16)}h with a CSI`, identify(cns, { nsid, cdw11: 1 << 24 }), 'InvalidField'),
      not(`CNS ${cns.toString(16)}h with a controller`, identify(cns | (1 << 16), { nsid }), 'InvalidField'),
      not(`CNS ${cns.toString(16)}h with a specific identifier`, identify(cns, { nsid, cdw11: 1 }), 'InvalidField'),
      not(`CNS ${cns.toString(16)}h with a UUID index`, identify(cns, { nsid, cdw14: 1 }), 'InvalidField'),
      not(`CNS ${cns.toString(16)}h into 4092 bytes`, identify(cns, { nsid }), 'DataSglLengthInvalid', 4092),
      not(`CNS ${cns.toString(16)}h without data`, identify(cns, { nsid }), 'DataSglLengthInvalid', 0),
    ];
  }),
  ...reservedCases('Identify', [admin(identify(Cns.Controller), 'Success', { bytes: page })], { cdw10: 0xffff00ff, cdw11: 0xff00ffff, cdw14: 0x7f }),
];

// Get Log Page

const log = (lid: number, bytes: number, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.AdminGetLogPage, nsid: all, ...more, cdw10: lid | (((bytes / 4 - 1) & 0xffff) << 16) | (more.cdw10 ?? 0) });
const logCase = (name: string, entry: Entry, status: StatusName, bytes: number, get?: readonly Word[]) => one('Get Log Page', name, admin(entry, status, { bytes, ...(get ? { get } : {}) }));
const pages: readonly (readonly [name: string, lid: number, bytes: number])[] = [
  ['supported pages', Lid.Supported, 1024], ['errors', Lid.Error, 4096], ['health', Lid.Health, 512], ['firmware', Lid.FirmwareSlot, 512], ['changed namespaces', Lid.ChangedNamespaces, 4096],
  ['command effects', Lid.CommandEffects, 4096], ['feature effects', Lid.FeatureEffects, 1024], ['reachability groups', Lid.ReachabilityGroups, 4096], ['reachability associations', Lid.ReachabilityAssociations, 4096],
  ['programs', Lid.ProgramList, 4096], ['program types', Lid.DownloadableProgramTypes, 512], ['memory range sets', Lid.MemoryRangeSets, 512],
];
const logCases: Case[] = [
  ...pages.flatMap(([name, lid, bytes]) => [
    logCase(name, log(lid, bytes), 'Success', bytes),
    logCase(`${name}, events kept`, log(lid, bytes, { cdw10: 1 << 15 }), 'Success', bytes),
    logCase(`${name}, of the controller by NSID 0`, log(lid, bytes, { nsid: 0 }), 'Success', bytes),
    logCase(`${name}, one dword`, log(lid, 4), 'Success', 4),
    logCase(`${name}, its last dword`, log(lid, 4, { cdw12: bytes - 4 }), 'Success', 4),
    logCase(`${name}, from its end`, log(lid, 4, { cdw12: bytes }), 'Success', 4, [[0, 0]]),
    logCase(`${name}, from behind its end`, log(lid, 4, { cdw12: bytes + 4 }), 'InvalidField', 4),
    logCase(`${name}, from 2^32`, log(lid, 4, { cdw13: 1 }), 'InvalidField', 4),
    logCase(`${name}, from an odd offset`, log(lid, 4, { cdw12: 2 }), 'InvalidField', 4),
    logCase(`${name} of namespace 1`, log(lid, bytes, { nsid: 1 }), 'InvalidField', bytes),
    logCase(`${name} of namespace 99`, log(lid, bytes, { nsid: 99 }), 'InvalidNamespace', bytes),
    logCase(`${name} into less`, log(lid, bytes), 'DataSglLengthInvalid', bytes - 4),
    logCase(`${name} with an LSP`, log(lid, bytes, { cdw10: 1 << 8 }), 'InvalidField', bytes),
    logCase(`${name} with an LSI`, log(lid, bytes, { cdw11: 1 << 16 }), 'InvalidField', bytes),
    logCase(`${name} with a UUID index`, log(lid, bytes, { cdw14: 1 }), 'InvalidField', bytes),
    logCase(`${name} by index offset`, log(lid, bytes, { cdw14: 1 << 23 }), 'InvalidField', bytes),
    logCase(`${name}, more than a transfer`, log(lid, 4, { cdw11: 0xffff }), 'InvalidField', 4),
  ]),
  ...[Csi.Nvm, Csi.Kv, Csi.Slm, Csi.Compute].map((csi) => logCase(`command effects of CSI ${csi}`, log(Lid.CommandEffects, 4096, { cdw14: csi << 24 }), 'Success', 4096, [[4 * Opcode.AdminIdentify, 1]])),
  ...[Csi.Zoned, 5, 0xff].map((csi) => logCase(`command effects of CSI ${csi}`, log(Lid.CommandEffects, 4096, { cdw14: csi << 24 }), 'InvalidIoCommandSet', 4096)),
  ...pages.filter(([, lid]) => lid !== Lid.CommandEffects).map(([name, lid, bytes]) => logCase(`${name} of a CSI`, log(lid, bytes, { cdw14: 1 << 24 }), 'InvalidField', bytes)),
  ...[0x06, 0x07, 0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x13, 0x20, 0x7f, 0x80, 0x81, 0xc0, 0xff].map((lid) => logCase(`page ${lid.toString(16)}h`, log(lid, 512), 'InvalidLogPage', 512)),
  ...reservedCases('Get Log Page', [admin(log(Lid.Health, 512), 'Success', { bytes: 512 })], { cdw10: all, cdw11: all, cdw12: all, cdw13: all, cdw14: 0xff80007f }),
];

// Features

const set = (fid: number, value = 0, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.AdminSetFeatures, cdw11: value, ...more, cdw10: (fid | (more.cdw10 ?? 0)) >>> 0 });
const get = (fid: number, select = 0, more: Partial<Entry> = {}): Entry => ({ opc: Opcode.AdminGetFeatures, ...more, cdw10: fid | (select << 8) });
interface Feature {
  readonly name: string;
  readonly fid: number;
  readonly initial: number;
  readonly valid: readonly number[];
  readonly invalid: readonly (readonly [value: number, status: StatusName])[];
  readonly perNamespace?: boolean;
}
const features: readonly Feature[] = [
  { name: 'Arbitration', fid: Fid.Arbitration, initial: 4, valid: [0, 7, 0x01020303, 0xffffff07], invalid: [[8, 'InvalidField'], [0x80, 'InvalidField']] },
  { name: 'Power Management', fid: Fid.PowerManagement, initial: 0, valid: [0, 0x20, 0xe0], invalid: [[1, 'InvalidField'], [0x1f, 'InvalidField'], [0x100, 'InvalidField']] },
  { name: 'Volatile Write Cache', fid: Fid.VolatileWriteCache, initial: 1, valid: [0, 1], invalid: [[2, 'InvalidField'], [0x80000000, 'InvalidField']] },
  { name: 'Write Atomicity', fid: Fid.WriteAtomicity, initial: 0, valid: [0, 1], invalid: [[2, 'InvalidField']] },
  { name: 'Asynchronous Event Configuration', fid: Fid.AsyncEventConfiguration, initial: 0x1ff, valid: [0, 0xff, 0x100], invalid: [[0x200, 'InvalidField'], [0x80000000, 'InvalidField']] },
  { name: 'Keep Alive Timer', fid: Fid.KeepAliveTimer, initial: 0, valid: [0, 100_000, 3_600_000], invalid: [[3_600_001, 'KeepAliveTimeoutInvalid'], [0xffffffff, 'KeepAliveTimeoutInvalid']] },
  { name: 'I/O Command Set Profile', fid: Fid.IoCommandSetProfile, initial: 0, valid: [0], invalid: [[1, 'IoCommandSetCombinationRejected'], [0x1ff, 'IoCommandSetCombinationRejected'], [0x200, 'InvalidField']] },
  { name: 'Error Recovery', fid: Fid.ErrorRecovery, initial: 0, valid: [0, 10, 0xffff], invalid: [[0x10000, 'InvalidField'], [0x20000, 'InvalidField']], perNamespace: true },
];
const featureCases: Case[] = features.flatMap(({ name, fid, initial, valid, invalid, perNamespace }): Case[] => {
  const nsid = perNamespace ? Nsid.Raw : 0;
  const where = perNamespace ? 'of namespace 4' : 'of the controller';
  return [
    ...valid.map((value) => ({ command: 'Set Features', name: `${name} ${value.toString(16)}h`, steps: [admin(set(fid, value, { nsid }), 'Success'), admin(get(fid, 0, { nsid }), 'Success', { dw0: value >>> 0 })] })),
    ...invalid.map(([value, status]) => ({ command: 'Set Features', name: `${name} ${value.toString(16)}h`, steps: [admin(set(fid, value, { nsid }), status), admin(get(fid, 0, { nsid }), 'Success', { dw0: initial })].reverse() })),
    one('Get Features', `${name}, now`, admin(get(fid, 0, { nsid }), 'Success', { dw0: initial })),
    one('Get Features', `${name}, default`, admin(get(fid, 1, { nsid }), 'Success', { dw0: initial })),
    one('Get Features', `${name}, saved`, admin(get(fid, 2, { nsid }), 'Success', { dw0: initial })),
    one('Get Features', `${name}, capabilities`, admin(get(fid, 3, { nsid }), 'Success', { dw0: perNamespace ? 6 : 4 })),
    ...[4, 5, 6, 7].map((select) => one('Get Features', `${name}, selected by ${select}`, admin(get(fid, select, { nsid }), 'InvalidField'))),
    one('Get Features', `${name} with a UUID index`, admin(get(fid, 0, { nsid, cdw14: 1 }), 'InvalidField')),
    one('Set Features', `${name} with a UUID index`, admin(set(fid, initial, { nsid, cdw14: 1 }), 'InvalidField')),
    one('Set Features', `${name}, to be saved`, admin(set(fid, initial, { nsid, cdw10: 0x80000000 }), 'FeatureNotSaveable')),
    ...(['cdw12', 'cdw13', 'cdw15'] as const).map((dword) => one('Set Features', `${name} with ${dword}`, admin(set(fid, initial, { nsid, [dword]: 1 }), 'InvalidField'))),
    one('Set Features', `${name} ${where} by NSID 99`, admin(set(fid, initial, { nsid: 99 }), 'InvalidNamespace')),
    one('Get Features', `${name} ${where} by NSID 99`, admin(get(fid, 0, { nsid: 99 }), 'InvalidNamespace')),
    perNamespace ? one('Set Features', `${name} of namespace 0`, admin(set(fid, initial), 'InvalidNamespace')) : one('Set Features', `${name} of namespace 1`, admin(set(fid, initial, { nsid: 1 }), 'FeatureNotNamespaceSpecific')),
    one('Set Features', `${name} of all namespaces`, admin(set(fid, initial, { nsid: all }), 'Success')),
  ];
});
const timestamp = [[0, 0x12345678], [4, 0x19a]] as const;
const moreFeatureCases: Case[] = [
  ...[0x00, 0x03, 0x08, 0x09, 0x0c, 0x0d, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x17, 0x18, 0x1a, 0x1d, 0x20, 0x7f, 0x80, 0x82, 0x83, 0xc0, 0xff].flatMap((fid) => [
    one('Set Features', `feature ${fid.toString(16)}h`, admin(set(fid), 'InvalidField')),
    one('Get Features', `feature ${fid.toString(16)}h`, admin(get(fid), 'InvalidField')),
  ]),
  one('Set Features', 'Number of Queues after a queue was made', admin(set(Fid.NumberOfQueues, 0x00030003), 'CommandSequenceError')),
  ...[0xffff, 0xffff0000].map((value) => one('Set Features', `Number of Queues ${value.toString(16)}h`, admin(set(Fid.NumberOfQueues, value), 'InvalidField'))),
  one('Get Features', 'Number of Queues', admin(get(Fid.NumberOfQueues), 'Success', { dw0: 0x003f003f })),
  { command: 'Set Features', name: 'Temperature Threshold over', steps: [admin(set(Fid.TemperatureThreshold, 0x150), 'Success'), admin(get(Fid.TemperatureThreshold), 'Success', { dw0: 0x150 })] },
  { command: 'Set Features', name: 'Temperature Threshold under', steps: [admin(set(Fid.TemperatureThreshold, 0x100100), 'Success'), admin(get(Fid.TemperatureThreshold, 0, { cdw11: 0x100000 }), 'Success', { dw0: 0x100 }), admin(get(Fid.TemperatureThreshold), 'Success', { dw0: 0xffff })] },
  ...[0x00010000, 0x00080000, 0x00200000, 0x00300000, 0x00400000].map((value) => one('Set Features', `Temperature Threshold ${value.toString(16)}h`, admin(set(Fid.TemperatureThreshold, value), 'InvalidField'))),
  { command: 'Set Features', name: 'Timestamp', steps: [admin(set(Fid.Timestamp), 'Success', { bytes: 8, put: timestamp }), admin(get(Fid.Timestamp), 'Success', { bytes: 8 })] },
  one('Set Features', 'Timestamp with reserved bytes', admin(set(Fid.Timestamp), 'InvalidField', { bytes: 8, put: [[4, 0x10000]] })),
  one('Set Features', 'Timestamp of 4 bytes', admin(set(Fid.Timestamp), 'DataSglLengthInvalid', { bytes: 4 })),
  one('Get Features', 'Timestamp into 4 bytes', admin(get(Fid.Timestamp), 'DataSglLengthInvalid', { bytes: 4 })),
  { command: 'Set Features', name: 'Host Behavior Support', steps: [admin(set(Fid.HostBehavior), 'Success', { bytes: 512, put: [[0, 1], [4, 0x14]] }), admin(get(Fid.HostBehavior), 'Success', { bytes: 512, get: [[0, 1], [4, 0x14]] })] },
  ...([[0, 2], [0, 0x01000000], [4, 1], [4, 0x20], [8, 1], [508, 1]] as const).map((word) => one('Set Features', `Host Behavior Support with word ${word[1].toString(16)}h at ${word[0]}`, admin(set(Fid.HostBehavior), 'InvalidField', { bytes: 512, put: [word] }))),
  { command: 'Set Features', name: 'Host Identifier', steps: [admin(set(Fid.HostIdentifier, 1), 'Success', { bytes: 16, put: [[0, 7]] }), admin(get(Fid.HostIdentifier, 0, { cdw11: 1 }), 'Success', { bytes: 16, get: [[0, 7], [4, 0]] })] },
  { command: 'Set Features', name: 'Host Identifier a second time', steps: [admin(set(Fid.HostIdentifier, 1), 'Success', { bytes: 16, put: [[0, 7]] }), admin(set(Fid.HostIdentifier, 1), 'CommandSequenceError', { bytes: 16, put: [[0, 8]] })] },
  one('Set Features', 'Host Identifier of 64 bits', admin(set(Fid.HostIdentifier, 0), 'InvalidField', { bytes: 16, put: [[0, 7]] })),
  one('Set Features', 'Host Identifier 0', admin(set(Fid.HostIdentifier, 1), 'InvalidField', { bytes: 16 })),
  one('Get Features', 'Host Identifier of 64 bits', admin(get(Fid.HostIdentifier), 'InvalidField', { bytes: 16 })),
  one('Get Features', 'Namespace Write Protection of namespace 1', admin(get(Fid.NamespaceWriteProtection, 0, { nsid: 1 }), 'Success', { dw0: 1 })),
  one('Get Features', 'Namespace Write Protection of namespace 4', admin(get(Fid.NamespaceWriteProtection, 0, { nsid: 4 }), 'Success', { dw0: 0 })),
  one('Get Features', 'Namespace Write Protection of SLM', admin(get(Fid.NamespaceWriteProtection, 0, { nsid: 2 }), 'InvalidNamespace')),
  one('Set Features', 'Namespace Write Protection', admin(set(Fid.NamespaceWriteProtection, 0, { nsid: 1 }), 'FeatureNotChangeable')),
  ...reservedCases('Set Features', [admin(set(Fid.VolatileWriteCache, 1), 'Success')], { cdw10: 0x800000ff, cdw11: all, cdw12: all, cdw13: all, cdw14: 0x7f, cdw15: all }),
  ...reservedCases('Get Features', [admin(get(Fid.VolatileWriteCache), 'Success')], { cdw10: 0x7ff, cdw11: all, cdw14: 0x7f }),
];

// What a controller may do for a host, and what this one does not.

const otherCases: Case[] = [
  one('Keep Alive', 'valid', admin({ opc: Opcode.AdminKeepAlive }, 'Success')),
  one('Keep Alive', 'of a namespace', admin({ opc: Opcode.AdminKeepAlive, nsid: 1 }, 'InvalidNamespace')),
  ...reservedCases('Keep Alive', [admin({ opc: Opcode.AdminKeepAlive }, 'Success')], {}),
  one('Abort', 'a command that is not there', admin({ opc: Opcode.AdminAbort, cdw10: 1 | (77 << 16) }, 'Success', { dw0: 1 })),
  one('Abort', 'on a queue that is not there', admin({ opc: Opcode.AdminAbort, cdw10: 60 }, 'Success', { dw0: 1 })),
  one('Abort', 'of a namespace', admin({ opc: Opcode.AdminAbort, nsid: 1 }, 'InvalidNamespace')),
  ...reservedCases('Abort', [admin({ opc: Opcode.AdminAbort }, 'Success', { dw0: 1 })], { cdw10: all }),
  one('Asynchronous Event Request', 'of a namespace', admin({ opc: Opcode.AdminAsyncEventRequest, nsid: 1 }, 'InvalidNamespace')),
  ...reservedCases('Asynchronous Event Request', [admin({ opc: Opcode.AdminAsyncEventRequest }, 'Success')], {}),
  ...([['Namespace Management', 0x0d], ['Firmware Commit', 0x10], ['Firmware Image Download', 0x11], ['Device Self-test', 0x14], ['Namespace Attachment', 0x15], ['Directive Send', 0x19], ['Directive Receive', 0x1a], ['Virtualization Management', 0x1c], ['NVMe-MI Send', 0x1d],
    ['NVMe-MI Receive', 0x1e], ['Doorbell Buffer Config', 0x7c], ['Fabrics', 0x7f], ['Format NVM', 0x80], ['Security Send', 0x81], ['Security Receive', 0x82], ['Sanitize', 0x84], ['Get LBA Status', 0x86], ['Track Send', 0x3d], ['Migration Send', 0x41], ['vendor', 0xc0], ['vendor', 0xff]] as const).map(([name, opc]) =>
    one('admin opcode not supported', `${name} ${opc.toString(16)}h`, admin({ opc, nsid: 1 }, 'InvalidOpcode')),
  ),
];

export const adminCases: readonly Case[] = [...identifyCases, ...logCases, ...featureCases, ...moreFeatureCases, ...otherCases];
