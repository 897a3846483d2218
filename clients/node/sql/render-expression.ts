import { literalSql, quoteName } from '../../../pushdown/plan/sql-expr.js';
import { type BoundExpression, between, caseOf, cast, comparison, conjunction, constant, operator, reference, scalarFunction } from './bound-plan.js';
import { constantValue } from './constant-value.js';
import { spelledType } from './duck-type.js';
import { userFunctionCall } from './user-function.js';
import type { BoundValue } from './bound-plan.js';

const comparisons: Readonly<Record<string, string>> = {
  COMPARE_EQUAL: '=', COMPARE_NOTEQUAL: '<>', COMPARE_LESSTHAN: '<', COMPARE_LESSTHANOREQUALTO: '<=', COMPARE_GREATERTHAN: '>', COMPARE_GREATERTHANOREQUALTO: '>=',
  COMPARE_DISTINCT_FROM: 'IS DISTINCT FROM', COMPARE_NOT_DISTINCT_FROM: 'IS NOT DISTINCT FROM',
};

/**
 * A bound expression written back as SQL over columns c0, c1, ...; undefined for kinds not known to mean the same when
 * bound again. Casts are spelled out in the bound plan, so binding again changes no type.
 */
export function renderExpression(node: BoundExpression, columns: number): string | undefined {
  const of = (e: BoundExpression) => renderExpression(e, columns);
  switch (node.expression_class) {
    case 'BOUND_REF': {
      const found = reference.safeParse(node).data;
      return found && found.index < columns ? `c${found.index}` : undefined;
    }
    case 'BOUND_CONSTANT': {
      const found = constant.safeParse(node).data;
      return found && renderConstant(found.value);
    }
    case 'BOUND_COMPARISON': {
      const found = comparison.safeParse(node).data;
      const op = Object.hasOwn(comparisons, node.type) ? comparisons[node.type] : undefined;
      const left = found && of(found.left);
      const right = found && of(found.right);
      return op && left && right && `(${left} ${op} ${right})`;
    }
    case 'BOUND_CONJUNCTION': {
      const args = all(conjunction.safeParse(node).data?.children, of);
      const word = node.type === 'CONJUNCTION_AND' ? ' AND ' : node.type === 'CONJUNCTION_OR' ? ' OR ' : undefined;
      return args && word && `(${args.join(word)})`;
    }
    case 'BOUND_BETWEEN': {
      const found = between.safeParse(node).data;
      const parts = found && all([found.input, found.lower, found.upper], of);
      return parts && `(${parts[0]} ${found.lower_inclusive ? '>=' : '>'} ${parts[1]} AND ${parts[0]} ${found.upper_inclusive ? '<=' : '<'} ${parts[2]})`;
    }
    case 'BOUND_OPERATOR': return renderOperator(node, of);
    case 'BOUND_CAST': {
      const found = cast.safeParse(node).data;
      const child = found && of(found.child);
      const type = found && spelledType(found.return_type);
      return child && type && `${found.try_cast ? 'TRY_CAST' : 'CAST'}(${child} AS ${type})`;
    }
    case 'BOUND_CASE': return renderCase(node, of);
    case 'BOUND_FUNCTION': return userFunctionCall(node) ? undefined : renderFunction(node, of);
    default: return undefined;
  }
}

type Render = (e: BoundExpression) => string | undefined;

function all(nodes: readonly BoundExpression[] | undefined, of: Render): string[] | undefined {
  const parts = nodes?.map(of);
  return parts?.every((p) => p !== undefined) ? parts : undefined;
}

function renderConstant(value: BoundValue): string | undefined {
  const typed = constantValue(value);
  if (!typed) return undefined;
  if (value.type.id === 'HUGEINT') return `CAST(${typed.value === null ? 'NULL' : `'${String(typed.value)}'`} AS HUGEINT)`;
  return literalSql(typed.value, typed.type);
}

function renderOperator(node: BoundExpression, of: Render): string | undefined {
  const args = all(operator.safeParse(node).data?.children, of);
  const [first, ...others] = args ?? [];
  if (!args || first === undefined) return undefined;
  switch (node.type) {
    case 'OPERATOR_NOT': return `(NOT ${first})`;
    case 'OPERATOR_IS_NULL': return `(${first} IS NULL)`;
    case 'OPERATOR_IS_NOT_NULL': return `(${first} IS NOT NULL)`;
    case 'COMPARE_IN': return others.length > 0 ? `(${first} IN (${others.join(', ')}))` : undefined;
    case 'COMPARE_NOT_IN': return others.length > 0 ? `(${first} NOT IN (${others.join(', ')}))` : undefined;
    case 'OPERATOR_COALESCE': return `coalesce(${args.join(', ')})`;
    default: return undefined;
  }
}

function renderCase(node: BoundExpression, of: Render): string | undefined {
  const found = caseOf.safeParse(node).data;
  const checks = found?.case_checks.map((c) => {
    const when = of(c.when_expr);
    const then = of(c.then_expr);
    return when && then && `WHEN ${when} THEN ${then}`;
  });
  const otherwise = found && of(found.else_expr);
  return checks?.every((c) => c) && otherwise ? `(CASE ${checks.join(' ')} ELSE ${otherwise} END)` : undefined;
}

/** Built-in functions by name, operators too ("+"(a, b)); internal ones (`error`, `__internal_*`) have no SQL. */
function renderFunction(node: BoundExpression, of: Render): string | undefined {
  const found = scalarFunction.safeParse(node).data;
  if (!found || found.name.startsWith('__') || found.catalog_name !== 'system' || found.schema_name !== 'main') return undefined;
  const args = all(found.children, of);
  return args && spelledType(found.return_type) && `${quoteName(found.name)}(${args.join(', ')})`;
}
