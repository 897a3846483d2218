/** How a field of an Identify or log page is written: number of bytes little endian, text, or bytes as hex. */
export type FieldKind = 1 | 2 | 3 | 4 | 8 | 16 | 'text' | 'hex' | 'uuid';

/** Name as nvme-cli gives it, offset in the page, kind; bytes of text and hex; x: hexadecimal in normal output. */
export type Field = readonly [name: string, offset: number, kind: FieldKind, bytes?: number | 'x'];

export type PageValue = number | bigint | string;

/** The fields of a page, in order. Numbers past 2^53 come as bigint. */
export function readFields(page: Uint8Array, fields: readonly Field[]): Record<string, PageValue> {
  return Object.fromEntries(fields.map((field) => [field[0], readField(page, field)]));
}

function readField(page: Uint8Array, [, offset, kind, bytes]: Field): PageValue {
  const at = page.subarray(offset);
  switch (kind) {
    case 'text': return Buffer.from(at.subarray(0, Number(bytes))).toString('latin1').replace(/\0.*$/s, '').trimEnd();
    case 'hex': return Buffer.from(at.subarray(0, Number(bytes))).toString('hex');
    case 'uuid': return Buffer.from(at.subarray(0, 16)).toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    default: {
      let value = 0n;
      for (let i = kind - 1; i >= 0; i--) value = (value << 8n) | BigInt(at[i] ?? 0);
      return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
    }
  }
}

/** `name      : value` lines, as nvme-cli's normal output. */
export function fieldLines(values: Readonly<Record<string, PageValue>>, fields: readonly Field[], width = 10): string {
  return fields.map(([name, , , more]) => `${name.padEnd(width)}: ${more === 'x' ? hex(values[name] ?? 0) : values[name]}\n`).join('');
}

export const hex = (value: PageValue): string => (typeof value === 'string' ? value : value === 0 ? '0' : `0x${value.toString(16)}`);
