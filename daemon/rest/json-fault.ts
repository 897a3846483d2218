/** What may come next. */
type Expected = 'value' | 'first item' | 'key' | 'first key' | 'colon' | 'end of value';

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const words = ['true', 'false', 'null'];
const blank = /[ \t\r\n]*/y;

/** The index of the first character that JSON does not allow there (its length: it ends too early); undefined: it is JSON. */
export function jsonFault(text: string): number | undefined {
  const open: ('{' | '[')[] = [];
  let expected = 'value' as Expected;
  for (let at = after(blank, text, 0); at < text.length; at = after(blank, text, at)) {
    const c = text[at];
    const isKey = expected === 'key' || expected === 'first key';
    if (expected === 'colon') {
      if (c !== ':') return at;
      expected = 'value';
      at++;
    } else if (expected === 'end of value') {
      const inside = open.at(-1);
      if (inside === undefined || (c !== ',' && c !== (inside === '{' ? '}' : ']'))) return at;
      if (c === ',') expected = inside === '{' ? 'key' : 'value';
      else open.pop();
      at++;
    } else if ((expected === 'first item' && c === ']') || (expected === 'first key' && c === '}')) {
      open.pop();
      expected = 'end of value';
      at++;
    } else if (c === '"') {
      const string = stringEnd(text, at);
      if (string.fault !== undefined) return string.fault;
      expected = isKey ? 'colon' : 'end of value';
      at = string.end;
    } else if (isKey) return at;
    else if (c === '{' || c === '[') {
      open.push(c);
      expected = c === '{' ? 'first key' : 'first item';
      at++;
    } else {
      const word = words.find((each) => each[0] === c);
      const end = word === undefined ? after(number, text, at) : at + word.length;
      if (end === at) return at;
      for (let i = 0; word !== undefined && i < word.length; i++) if (text[at + i] !== word[i]) return at + i;
      expected = 'end of value';
      at = end;
    }
  }
  return expected === 'end of value' && open.length === 0 ? undefined : text.length;
}

/** Where the pattern's match at `at` ends; `at` where there is none. */
function after(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON strings may hold none, so they are looked for
const plainEnd = /["\\\u0000-\u001f]/g;

/** The end of the string that begins at `at`, or the first character it may not have. */
function stringEnd(text: string, at: number): { readonly end: number; readonly fault?: number } {
  for (let from = at + 1; ; ) {
    plainEnd.lastIndex = from;
    const stop = plainEnd.exec(text)?.index ?? text.length;
    if (text[stop] === '"') return { end: stop + 1 };
    if (text[stop] !== '\\') return { end: stop, fault: stop };
    if (text[stop + 1] === 'u') {
      for (let i = stop + 2; i < stop + 6; i++) if (!/[0-9a-fA-F]/.test(text[i] ?? '')) return { end: i, fault: Math.min(i, text.length) };
      from = stop + 6;
    } else if ('"\\/bfnrt'.includes(text[stop + 1] ?? '?')) from = stop + 2;
    else return { end: stop + 1, fault: Math.min(stop + 1, text.length) };
  }
}
