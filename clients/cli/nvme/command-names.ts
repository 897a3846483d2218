/** What nvme-cli calls opcodes in effects-log. */
const admin: Readonly<Record<number, string>> = {
  0x00: 'Delete I/O Submission Queue', 0x01: 'Create I/O Submission Queue', 0x02: 'Get Log Page', 0x04: 'Delete I/O Completion Queue', 0x05: 'Create I/O Completion Queue', 0x06: 'Identify',
  0x08: 'Abort', 0x09: 'Set Features', 0x0a: 'Get Features', 0x0c: 'Asynchronous Event Request', 0x18: 'Keep Alive', 0x85: 'Load Program', 0x88: 'Program Activation Management', 0x89: 'Memory Range Set Management',
};
const nvm: Readonly<Record<number, string>> = {
  0x00: 'Flush', 0x01: 'Write', 0x02: 'Read', 0x04: 'Write Uncorrectable', 0x05: 'Compare', 0x08: 'Write Zeroes', 0x09: 'Dataset Management', 0x0c: 'Verify', 0x19: 'Copy',
};
const kv: Readonly<Record<number, string>> = { 0x00: 'Flush', 0x01: 'Store', 0x02: 'Retrieve', 0x06: 'List', 0x10: 'Delete', 0x14: 'Exist' };
const slm: Readonly<Record<number, string>> = { 0x00: 'Memory Fill', 0x01: 'Memory Copy', 0x02: 'Memory Read', 0x05: 'Memory Write' };
const compute: Readonly<Record<number, string>> = { 0x01: 'Execute Program' };

export const csiNames: Readonly<Record<number, string>> = { 0: 'NVM', 1: 'KV', 3: 'SLM', 4: 'CP' };
const ioNames: Readonly<Record<number, Readonly<Record<number, string>>>> = { 0: nvm, 1: kv, 3: slm, 4: compute };

export const adminName = (opc: number): string => admin[opc] ?? (opc >= 0xc0 ? 'Vendor Specific' : 'Unknown');
export const ioName = (csi: number, opc: number): string => ioNames[csi]?.[opc] ?? (opc >= 0x80 ? 'Vendor Specific' : 'Unknown');
