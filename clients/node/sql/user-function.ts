import type { FunctionTarget } from '../../../pushdown/expr/expr.js';
import { quoteName, textSql } from '../../../pushdown/plan/sql-expr.js';
import { sqlType } from '../../../pushdown/plan/sql-type.js';
import { type BoundExpression, type BoundOperator, cast, constant, scalarFunction } from './bound-plan.js';
import type { SqlFunction } from './context.js';

// DuckDB binds a user's function as a macro whose body nobody runs: its arguments in a row behind a mark that says which function it is,
// cast to its type. Were it run all the same, it would fail, not give a value. The cast stands in a list because the optimizer moves
// constants of comparisons through casts.

const mark = 'millrace call ';

/** Names the text calls, lower case: `f(` and `k.f(`. More than it calls does no harm. */
export function calledNames(sql: string): string[] {
  const names = [...sql.toLowerCase().matchAll(/(?:([a-z_][a-z0-9_]*)\s*\.\s*)?([a-z_][a-z0-9_]*)\s*\(/g)].map(([, kernel, name]) => (kernel === undefined ? (name ?? '') : `${kernel}.${name}`));
  return [...new Set(names)];
}

/** Statements that define the function for binding. */
export function functionDdl({ name, target }: SqlFunction): string[] {
  const [kernel, wanted] = name.split('.');
  const params = target.params.map((_, i) => `a${i}`);
  const args = target.params.map((type, i) => `CAST(a${i} AS ${sqlType(type)})`);
  const body = `list_extract([CAST(CAST(row(${[textSql(mark + JSON.stringify({ name, target })), ...args].join(', ')}) AS VARCHAR) AS ${sqlType(target.result)})], 1)`;
  const called = wanted === undefined ? quoteName(name) : `${quoteName(kernel ?? '')}.${quoteName(wanted)}`;
  return [...(wanted === undefined ? [] : [`CREATE SCHEMA IF NOT EXISTS ${quoteName(kernel ?? '')}`]), `CREATE OR REPLACE MACRO ${called}(${params.join(', ')}) AS ${body}`];
}

/** The call a bound expression stands for, its arguments as the function takes them; undefined: it is another expression. */
export function userFunctionCall(node: BoundExpression): { readonly name: string; readonly target: FunctionTarget; readonly args: readonly BoundExpression[] } | undefined {
  const text = castOf(calling('list_value', calling('list_extract', node)?.[0])?.[0]);
  // The cast to the result's type is not there where that is text.
  const [marked, ...args] = calling('row', castOf(text)) ?? calling('row', text) ?? [];
  const said = marked && constant.safeParse(marked).data?.value.value;
  if (typeof said !== 'string' || !said.startsWith(mark)) return undefined;
  const { name, target } = JSON.parse(said.slice(mark.length)) as SqlFunction;
  return args.length === target.params.length ? { name, target, args } : undefined;
}

/** Those functions that a bound plan calls. */
export function calledIn(root: BoundOperator, functions: readonly SqlFunction[]): readonly SqlFunction[] {
  if (functions.length === 0) return functions;
  const names = new Set<string>();
  const visit = (node: unknown): void => {
    if (typeof node === 'string' && node.startsWith(mark)) names.add((JSON.parse(node.slice(mark.length)) as SqlFunction).name);
    else if (typeof node === 'object' && node !== null) for (const each of Object.values(node)) visit(each);
  };
  visit(root);
  return functions.filter((f) => names.has(f.name));
}

function castOf(node: BoundExpression | undefined): BoundExpression | undefined {
  const found = node?.expression_class === 'BOUND_CAST' ? cast.safeParse(node).data : undefined;
  return found && !found.try_cast ? found.child : undefined;
}

/** Arguments of a call of this function; undefined: it is something else. */
function calling(name: string, node: BoundExpression | undefined): readonly BoundExpression[] | undefined {
  const found = node?.expression_class === 'BOUND_FUNCTION' ? scalarFunction.safeParse(node).data : undefined;
  return found?.name === name ? found.children : undefined;
}
