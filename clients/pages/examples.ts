import type { DatasetColumnInfo, DatasetInfo } from '../../pushdown/types/dataset-info.js';
import { quoteName } from '../../pushdown/plan/sql-expr.js';

export interface Example {
  readonly title: string;
  readonly sql: string;
}

/** Statements that make sense on these datasets, whatever they hold: made of the first one's columns. */
export function examplesFor(datasets: readonly DatasetInfo[]): Example[] {
  const [dataset] = datasets;
  if (!dataset) return [];
  const from = quoteName(dataset.name);
  const numbers = dataset.columns.filter(isNumber);
  const number = numbers[0] && quoteName(numbers[0].name);
  const key = dataset.columns.find((column) => column.dictionaryEntries !== undefined && column.dictionaryEntries <= 100_000);
  const bounds = boundsOf(numbers.find((column) => boundsOf(column)));
  const examples: Example[] = [{ title: 'Count', sql: `SELECT count(*) AS n FROM ${from}` }];
  if (key && number) examples.push({ title: 'Group by', sql: `SELECT ${quoteName(key.name)}, count(*) AS n, avg(${number}) AS mean\nFROM ${from}\nGROUP BY ${quoteName(key.name)}` });
  if (bounds) examples.push({ title: 'Filter', sql: `SELECT *\nFROM ${from}\nWHERE ${quoteName(bounds.name)} > ${bounds.high}\nLIMIT 100` });
  if (number) examples.push({ title: 'Aggregate', sql: `SELECT ${numbers.slice(0, 3).map(({ name }) => `min(${quoteName(name)}), max(${quoteName(name)}), sum(${quoteName(name)})`).join(',\n       ')}\nFROM ${from}` });
  if (number) examples.push({ title: 'Top 20', sql: `SELECT *\nFROM ${from}\nORDER BY ${number} DESC\nLIMIT 20` });
  if (key) examples.push({ title: 'Needs a SQL engine', sql: `SELECT a.${quoteName(key.name)}, count(*) AS pairs\nFROM ${from} a JOIN (SELECT DISTINCT ${quoteName(key.name)} FROM ${from}) b USING (${quoteName(key.name)})\nGROUP BY 1 ORDER BY 2 DESC LIMIT 10` });
  return examples;
}

const isNumber = (column: DatasetColumnInfo): boolean => /^(u?int\d+|float\d+|decimal)$/.test(column.type.kind);

/** Nine tenths of the way from the least to the greatest value: few rows pass, not none. */
function boundsOf(column: DatasetColumnInfo | undefined): { readonly name: string; readonly high: string } | undefined {
  if (!column || !/^u?int\d+$/.test(column.type.kind) || column.min === undefined || column.max === undefined) return undefined;
  const min = BigInt(column.min);
  const max = BigInt(column.max);
  return { name: column.name, high: String(min + ((max - min) * 9n) / 10n) };
}
