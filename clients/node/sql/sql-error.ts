import { MillraceError } from '../../../pushdown/types/error.js';
import type { SerializedError } from './bound-plan.js';

/** Longest statement taken, UTF-16 units. */
export const sqlLengthMax = 1 << 20;

/** DuckDB's answer to a statement it cannot plan, with the place in the text. */
export function planError(error: SerializedError, sql: string, datasets: readonly string[]): MillraceError {
  const position = positionOf(error.position, sql);
  const at = { httpStatus: 400, ...(position === undefined ? {} : { position }) };
  const message = error.error_message.replaceAll(/\n+/g, ' ');
  switch (error.error_type) {
    case 'parser': case 'syntax': return new MillraceError('MR_SQL_SYNTAX', `${message}.`, at);
    case 'catalog':
      if (error.type === 'Table') return new MillraceError('MR_SQL_BIND', `There is no dataset "${error.name ?? ''}". ${datasets.length > 0 ? `Datasets: ${named(datasets)}.` : 'There are no datasets yet.'}`, at);
      return new MillraceError('MR_SQL_BIND', message, at);
    case 'permission': return new MillraceError('MR_SQL_UNSUPPORTED', `${message}: queries read datasets only.`, at);
    case 'not implemented': return new MillraceError('MR_SQL_UNSUPPORTED', message, at);
    default: return new MillraceError('MR_SQL_BIND', message, at);
  }
}

/** An error of the addon's DuckDB (`code` MR_*) as the caller's error; others pass unchanged. */
export function engineError(error: unknown): unknown {
  if (error instanceof MillraceError || !(error instanceof Error)) return error;
  const { code, position } = error as Error & { code?: unknown; position?: unknown };
  if (typeof code !== 'string' || !code.startsWith('MR_')) return error;
  return new MillraceError(code, error.message, { httpStatus: 400, cause: error, ...(typeof position === 'number' ? { position } : {}) });
}

const named = (names: readonly string[]) => (names.length > 20 ? `${names.slice(0, 20).join(', ')}, ...` : names.join(', '));

/** DuckDB counts bytes of UTF-8; callers index a string. */
function positionOf(bytes: string | undefined, sql: string): number | undefined {
  if (bytes === undefined || !/^\d{1,9}$/.test(bytes)) return undefined;
  return Buffer.from(sql, 'utf8').subarray(0, Number(bytes)).toString('utf8').length;
}
