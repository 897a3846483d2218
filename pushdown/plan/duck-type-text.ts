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
