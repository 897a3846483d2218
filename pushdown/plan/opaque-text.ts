import { unionMembers } from './duck-type-text.js';

// Values of types no kernel knows, as text and back, in SQL. The load proves for every value that the way back gives it again.

const word = /"(?:[^"]|"")*"|'(?:[^']|'')*'|\bBLOB\b/g;

/** Nested bytes take the way over text of their own: DuckDB's text of a list of BLOB escapes twice and cannot be read back. */
function overText(sql: string): string | undefined {
  if (!/[([]/.test(sql)) return undefined;
  const other = sql.replace(word, (found) => (found === 'BLOB' ? 'VARCHAR' : found));
  return other === sql ? undefined : other;
}

/** Type of the text a union is stored as: its own text does not say which member it is. */
const tagged = 'STRUCT(tag VARCHAR, "value" VARCHAR)';
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const name = (text: string): string => `"${text.replaceAll('"', '""')}"`;

export function toText(expression: string, sql: string): string {
  const members = unionMembers(sql);
  if (members) {
    const values = members.map(([member, type]) => `WHEN ${literal(member)} THEN ${toText(`union_extract(${expression}, ${literal(member)})`, type)}`);
    return `CASE WHEN (${expression}) IS NOT NULL THEN CAST(struct_pack(tag := CAST(union_tag(${expression}) AS VARCHAR), "value" := CASE union_tag(${expression}) ${values.join(' ')} END) AS VARCHAR) END`;
  }
  const other = overText(sql);
  return other ? `CAST(CAST(${expression} AS ${other}) AS VARCHAR)` : `CAST(${expression} AS VARCHAR)`;
}

export function ofText(expression: string, sql: string): string {
  const members = unionMembers(sql);
  if (members) {
    const part = (of: string) => `struct_extract(CAST(${expression} AS ${tagged}), '${of}')`;
    return `CASE ${part('tag')} ${members.map(([member, type]) => `WHEN ${literal(member)} THEN CAST(union_value(${name(member)} := ${ofText(part('value'), type)}) AS ${sql})`).join(' ')} END`;
  }
  const other = overText(sql);
  return other ? `CAST(CAST(${expression} AS ${other}) AS ${sql})` : `CAST(${expression} AS ${sql})`;
}
