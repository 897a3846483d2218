// Values of types no kernel knows, as text and back, in SQL. The load proves for every value that the way back gives it again.

const word = /"(?:[^"]|"")*"|'(?:[^']|'')*'|\bBLOB\b/g;

/** Nested bytes take the way over text of their own: DuckDB's text of a list of BLOB escapes twice and cannot be read back. */
function overText(sql: string): string | undefined {
  if (!/[([]/.test(sql)) return undefined;
  const other = sql.replace(word, (found) => (found === 'BLOB' ? 'VARCHAR' : found));
  return other === sql ? undefined : other;
}

export function toText(expression: string, sql: string): string {
  const other = overText(sql);
  return other ? `CAST(CAST(${expression} AS ${other}) AS VARCHAR)` : `CAST(${expression} AS VARCHAR)`;
}

export function ofText(expression: string, sql: string): string {
  const other = overText(sql);
  return other ? `CAST(CAST(${expression} AS ${other}) AS ${sql})` : `CAST(${expression} AS ${sql})`;
}
