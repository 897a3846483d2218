/** JSON, indented by two, with integers of any size written in full (as nvme-cli writes 64- and 128-bit fields). */
export function jsonText(value: unknown, indent = ''): string {
  const inner = `${indent}  `;
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[\n${value.map((v) => inner + jsonText(v, inner)).join(',\n')}\n${indent}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    return entries.length === 0 ? '{}' : `{\n${entries.map(([k, v]) => `${inner}${JSON.stringify(k)}:${jsonText(v, inner)}`).join(',\n')}\n${indent}}`;
  }
  return JSON.stringify(value);
}
