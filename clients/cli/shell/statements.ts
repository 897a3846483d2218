/**
 * Where statements end in SQL text: at a semicolon outside of quotes, comments and dollar quotes. The rest is what is still
 * being written.
 */
export function splitStatements(text: string): { readonly statements: readonly string[]; readonly rest: string } {
  const statements: string[] = [];
  let start = 0;
  let at = 0;
  while (at < text.length) {
    const skipped = skip(text, at);
    if (skipped > at) at = skipped;
    else if (text[at] === ';') {
      statements.push(text.slice(start, at));
      start = ++at;
    } else at++;
  }
  const rest = text.slice(start);
  return { statements: statements.filter((s) => !isBlank(s)), rest: isBlank(rest) ? '' : rest };
}

/** Nothing but blanks and closed comments. */
function isBlank(text: string): boolean {
  let at = 0;
  while (at < text.length) {
    const end = /\s/.test(text[at] ?? '') ? at + 1 : /^(--|\/\*)/.test(text.slice(at, at + 2)) ? skip(text, at) : at;
    if (end === at || (end === text.length && text.startsWith('/*', at) && !text.endsWith('*/'))) return false;
    at = end;
  }
  return true;
}

/** The end of the quoted text or comment that begins here (the text's end where it is open), or `at`. */
function skip(text: string, at: number): number {
  const upTo = (end: string, from: number) => {
    const found = text.indexOf(end, from);
    return found < 0 ? text.length : found + end.length;
  };
  switch (text[at]) {
    // A doubled quote is two quoted texts, which comes to the same.
    case "'": return upTo("'", at + 1);
    case '"': return upTo('"', at + 1);
    case '-': return text[at + 1] === '-' ? upTo('\n', at) : at;
    case '/': return text[at + 1] === '*' ? upTo('*/', at + 2) : at;
    case '$': {
      const tag = /^\$(?:[A-Za-z_]\w*)?\$/.exec(text.slice(at, at + 64))?.[0];
      return tag && !/\w/.test(text[at - 1] ?? '') ? upTo(tag, at + tag.length) : at;
    }
    default: return at;
  }
}
