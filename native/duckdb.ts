// What the addon's DuckDB needs around it: where the library lies, safe settings, and errors with a stable code.
import { createRequire } from 'node:module';
import { MillraceError } from '../pushdown/types/error.js';
import { type EncoderCalls, openEncoderWith } from './encoder.js';
import type { DuckDBConfig, NativeDuckDB } from './index.js';

/** The addon's own constructor: options are DuckDB settings given at open. */
export type OpenDuckDB = (config: { libraryPath: string; path: string | undefined; options: Record<string, string>; statements: readonly string[] }) => Omit<NativeDuckDB, 'openEncoder'> & EncoderCalls;

function libraryPath(): string {
  const here = createRequire(import.meta.url);
  const from = createRequire(createRequire(here.resolve('@duckdb/node-api')).resolve('@duckdb/node-bindings'));
  return from.resolve('@duckdb/node-bindings-linux-x64/libduckdb.so');
}

/** DuckDB's exception types, by what they mean to a caller. Anything else is MR_SQL_EXECUTION. */
const codeOf: Readonly<Record<string, string>> = {
  Parser: 'MR_SQL_SYNTAX',
  Syntax: 'MR_SQL_SYNTAX',
  Binder: 'MR_SQL_BIND',
  Catalog: 'MR_SQL_BIND',
  'Not implemented': 'MR_SQL_UNSUPPORTED',
  Permission: 'MR_SQL_FORBIDDEN',
  Interrupt: 'MR_SQL_INTERRUPTED',
  INTERRUPT: 'MR_SQL_INTERRUPTED',
  'Out of Memory': 'MR_SQL_MEMORY',
  IO: 'MR_SQL_IO',
  INTERNAL: 'MR_SQL_INTERNAL',
  Fatal: 'MR_SQL_INTERNAL',
};

/** DuckDB counts bytes of UTF-8, callers count UTF-16 units. */
const utf16Position = (sql: string, byte: number): number => Buffer.from(sql, 'utf8').subarray(0, byte).toString('utf8').length;

function toMillraceError(error: unknown, sql: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  if (error.code !== 'DUCKDB') return new MillraceError(error.code, error.message);
  // With errors_as_json the message is one JSON object, for parser errors behind a label.
  try {
    const report = JSON.parse(error.message.slice(Math.max(0, error.message.indexOf('{"')))) as { exception_type?: unknown; exception_message?: unknown; position?: unknown };
    const type = String(report.exception_type);
    const position = report.position === undefined ? Number.NaN : Number(report.position);
    return new MillraceError(
      codeOf[type] ?? 'MR_SQL_EXECUTION',
      String(report.exception_message),
      Number.isInteger(position) ? { position: utf16Position(sql, position) } : {},
    );
  } catch {
    return new MillraceError('MR_SQL_EXECUTION', error.message);
  }
}

async function translated<T>(work: () => Promise<T>, sql = ''): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toMillraceError(error, sql);
  }
}

/** Wraps the addon's constructor. Errors of all calls are MillraceError: MR_SQL_* (position: index into the SQL text), MR_TABLE_INVALID, MR_TYPE_UNSUPPORTED. */
export function openDuckDBWith(open: OpenDuckDB, config: DuckDBConfig): NativeDuckDB {
  const options: Record<string, string> = {
    memory_limit: `${config.memoryLimitBytes}B`,
    threads: String(config.threads),
    errors_as_json: 'true',
    preserve_insertion_order: 'true',
    // Nothing is fetched or looked for outside, and nothing is spilled to the working directory.
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    temp_directory: '',
    ...config.settings,
  };
  const allowed = config.allowedPaths?.map((path) => `'${path.replaceAll("'", "''")}'`).join(', ');
  const statements = [
    ...(allowed ? [`SET allowed_paths = [${allowed}]`] : []),
    ...(config.locked ? ['SET enable_external_access = false', 'SET lock_configuration = true'] : []),
  ];
  let raw: ReturnType<OpenDuckDB>;
  try {
    raw = open({ libraryPath: libraryPath(), path: config.path, options, statements });
  } catch (error) {
    throw toMillraceError(error, '');
  }
  return {
    query: (sql) => translated(() => raw.query(sql), sql),
    registerTable: (name, columns, batches) => translated(() => raw.registerTable(name, columns, batches)),
    registerFunction: (name, params, result, call) => translated(() => raw.registerFunction(name, params, result, call)),
    dropTable: (name) => translated(() => raw.dropTable(name)),
    openEncoder: (sql, columns, limits) => openEncoderWith(raw, sql, columns, limits, (work) => translated(work, sql)),
    interrupt: () => raw.interrupt(),
    close: () => raw.close(),
  };
}
