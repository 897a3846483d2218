import { MillraceError } from '../../pushdown/types/error.js';

/** An error for people: what is wrong, its code, and in SQL the place. */
export function reportError(error: unknown, sql?: string): string {
  if (!(error instanceof MillraceError)) return `millrace: ${error instanceof Error ? (process.env.MILLRACE_DEBUG ? (error.stack ?? error.message) : error.message) : String(error)}\n`;
  const { position } = error.at;
  const place = sql === undefined || position === undefined ? '' : pointAt(sql, position);
  return `millrace: ${error.message} (${error.code})\n${place}`;
}

/** The line of the statement and a caret under the place. */
export function pointAt(sql: string, position: number): string {
  const before = sql.slice(0, position);
  const start = before.lastIndexOf('\n') + 1;
  const end = sql.indexOf('\n', position);
  const line = sql.slice(start, end < 0 ? undefined : end);
  const number = before.split('\n').length;
  const prefix = `  line ${number}: `;
  // Long lines are cut around the place.
  const from = Math.max(0, position - start - 60);
  return `${prefix}${line.slice(from, from + 120)}\n${' '.repeat(prefix.length + position - start - from)}^\n`;
}
