const scalar = /^[A-Za-z_][A-Za-z0-9_]*( WITH TIME ZONE)?/i;
const argument = /^\( *\d+ *(, *\d+ *)?\)/;
const quotedName = /^"(?:[^"]|"")*"/;
const name = /^[A-Za-z_][A-Za-z0-9_]*/;
const text = /^'(?:[^']|'')*'/;
const array = /^\[\d*\]/;
/** STRUCTs within STRUCTs; DuckDB itself reads no deeper than 1000. */
const depthMax = 100;

/**
 * Whether a text is a type as DuckDB writes it and nothing more: it comes from files and callers, and stands in SQL as it is.
 */
export function isDuckType(sql: string): boolean {
  return new TypeText(sql).whole();
}

/** Name and type of each member of a UNION(...); undefined for any other type. The text is a type (isDuckType). */
export function unionMembers(sql: string): readonly (readonly [name: string, type: string])[] | undefined {
  if (!/^UNION\(.*\)$/s.test(sql)) return undefined;
  const members: string[] = [];
  let depth = 0;
  let begin = 'UNION('.length;
  for (const { 0: mark, index } of sql.matchAll(/"(?:[^"]|"")*"|'(?:[^']|'')*'|[(),]/g)) {
    if (mark === '(') depth++;
    if (mark === ')') depth--;
    if (!((mark === ',' && depth === 1) || (mark === ')' && depth === 0))) continue;
    members.push(sql.slice(begin, index).trim());
    begin = index + 1;
  }
  return members.map((member) => {
    const [written = ''] = quotedName.exec(member) ?? name.exec(member) ?? [];
    return [written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written, member.slice(written.length).trim()];
  });
}

class TypeText {
  #rest: string;

  constructor(sql: string) {
    this.#rest = sql;
  }

  whole(): boolean {
    return this.#type(0) && this.#rest === '';
  }

  #type(depth: number): boolean {
    if (depth > depthMax) return false;
    const word = this.#take(quotedName) ?? this.#take(scalar);
    if (word === undefined || !this.#arguments(word.toUpperCase(), depth)) return false;
    while (this.#take(array) !== undefined);
    return true;
  }

  #arguments(word: string, depth: number): boolean {
    switch (word) {
      case 'STRUCT':
      case 'UNION':
        return this.#list(() => (this.#take(quotedName) ?? this.#take(name)) !== undefined && this.#take(/^ +/) !== undefined && this.#type(depth + 1));
      case 'MAP':
        return this.#list(() => this.#type(depth + 1));
      case 'ENUM':
        return this.#list(() => this.#take(text) !== undefined);
      default:
        this.#take(argument);
        return true;
    }
  }

  #list(element: () => boolean): boolean {
    if (this.#take(/^\(/) === undefined) return false;
    do if (!element()) return false;
    while (this.#take(/^, */) !== undefined);
    return this.#take(/^\)/) !== undefined;
  }

  #take(expression: RegExp): string | undefined {
    const found = expression.exec(this.#rest)?.[0];
    if (found !== undefined) this.#rest = this.#rest.slice(found.length);
    return found;
  }
}
