/** JSON schema as far as our OpenAPI document uses it. */
export interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: unknown;
  readonly anyOf?: readonly Schema[];
}

/** The least value a schema takes. */
export function valid(schema: Schema): unknown {
  if (schema.anyOf?.[0]) return valid(schema.anyOf[0]);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  switch (schema.type) {
    case 'integer': case 'number': return Math.max(schema.minimum ?? 0, 0);
    case 'string': return ['x'.repeat(Math.max(schema.minLength ?? 1, 1)), '00000000-0000-4000-8000-000000000000'].find((text) => new RegExp(schema.pattern ?? '', 'u').test(text)) ?? 'x';
    case 'boolean': return false;
    case 'array': return [];
    case 'object': return Object.fromEntries((schema.required ?? []).map((name) => [name, valid(schema.properties?.[name] ?? {})]));
    default: return 'x';
  }
}

/** Values a schema must not take; `text`: as path and query carry them. */
export function malformed(schema: Schema, text = false): unknown[] {
  if (schema.anyOf) return text ? [] : [{}, 'neither of them', 17, null];
  if (schema.enum) return text ? ['no such choice', '1e9'] : ['no such choice', 17, null, []];
  switch (schema.type) {
    case 'integer': return ['x', '', 1.5, ...(schema.minimum === undefined || schema.minimum < -1 ? [] : [schema.minimum - 1]), ...((schema.maximum ?? Infinity) < 1e15 ? [Number(schema.maximum) + 1] : [1e300]), ...(text ? ['0x', 'NaN'] : [null, [], {}])].filter((value) => !(text && value === ''));
    case 'string': return [
      ...((schema.maxLength ?? Infinity) <= 4096 ? ['y'.repeat(Number(schema.maxLength) + 1)] : []), ...(schema.pattern ? ['\u0001 !'] : []), ...(text ? [] : [17, null, [], {}, true, ...(schema.minLength ? [''] : [])]),
    ];
    case 'boolean': return text ? [] : ['yes', 1, null];
    case 'array': return ['x', {}, null, ...malformed(schema.items ?? {}).slice(0, 4).map((item) => [item])];
    case 'object': return ['x', 3, null, []];
    default: return [];
  }
}
