import type { ExplainRow } from '../scan/explain.js';
import type { SqlPlan } from './sql-plan.js';

/** A statement's explanation: the host's part on top where there is one, each plan it runs below. */
export function explainRows(plan: SqlPlan, parts: readonly (readonly ExplainRow[])[], actual?: { readonly rows: number; readonly ms: number }): ExplainRow[] {
  if (plan.kind === 'plan') return [...(parts[0] ?? [])];
  const info = plan.kind === 'pushed' ? `operators above the pushed plan, as SQL: ${oneLine(plan.hostSql)}` : `the statement itself, over the scans below; every filter is checked again${plan.functions.length > 0 ? `; asks the host for ${plan.functions.map((f) => f.name).join(', ')}` : ''}`;
  const top: ExplainRow = { id: 'DuckDB', op: 'DuckDB', estRows: null, actRows: actual?.rows ?? null, where: 'host', bytes: null, time: actual ? Math.round(actual.ms * 1000) / 1000 : null, info };
  return [top, ...parts.flatMap((rows) => rows.map((row) => ({ ...row, id: nested(row.id) })))];
}

/** One level deeper: ids carry the depth as `└─` behind two blanks a level. */
function nested(id: string): string {
  return id.includes('└─') ? `  ${id}` : `└─${id}`;
}

const oneLine = (sql: string) => sql.replace(/\s+/g, ' ');

/** Columns of the table as TiDB prints it; what is modelled has its own, and only where something is. */
const headings = ['id', 'estRows', 'actRows', 'where', 'bytes', 'time', 'linkModel', 'info'] as const;
const leftAligned: ReadonlySet<string> = new Set(['id', 'where', 'info']);

/** The rows as a table; `infoWidthMax` cuts the last column for a terminal. */
export function explainText(rows: readonly ExplainRow[], infoWidthMax = Number.POSITIVE_INFINITY): string {
  const number = (n: number | null) => (n === null ? '' : String(n));
  const ms = (n: number | null | undefined) => (n === null || n === undefined ? '' : `${n.toFixed(1)}ms`);
  const shown = headings.filter((heading) => heading !== 'linkModel' || rows.some((row) => row.linkModelMs !== undefined));
  const cells = rows.map((r) => {
    const texts: Record<(typeof headings)[number], string> = {
      id: r.id, estRows: number(r.estRows), actRows: number(r.actRows), where: r.where, bytes: number(r.bytes), time: ms(r.time), linkModel: ms(r.linkModelMs), info: cut(oneLine(r.info), infoWidthMax),
    };
    return shown.map((heading) => texts[heading]);
  });
  const all = [[...shown], ...cells];
  const widths = shown.map((_, i) => Math.max(...all.map((row) => (row[i] ?? '').length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, i) => (leftAligned.has(shown[i] ?? '') ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `+${widths.map((w) => '-'.repeat(w + 2)).join('+')}+`;
  return [rule, line(shown), rule, ...cells.map(line), rule].join('\n');
}

const cut = (text: string, max: number) => (text.length > max ? `${text.slice(0, Math.max(0, max - 1))}…` : text);
