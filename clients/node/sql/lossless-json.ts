/**
 * JSON as DuckDB writes plans: integers of any length stay exact (long ones become strings of digits), and the bare words
 * NaN and Infinity become strings. JSON.parse alone would round a BIGINT constant and with it change a filter.
 */
const token = /"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity|inf|nan)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

export function parseLossless(text: string): unknown {
  return JSON.parse(text.replace(token, keep));
}

function keep(found: string): string {
  const first = found.charCodeAt(0);
  if (first === 34 /* " */) return found;
  if (/^-?[A-Za-z]/.test(found)) return `"${found}"`;
  return /^-?\d{16,}$/.test(found) ? `"${found}"` : found;
}
