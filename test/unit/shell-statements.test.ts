import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitStatements } from '../../clients/cli/shell/statements.js';

test.each([
  ['select 1;', ['select 1'], ''],
  ['select 1', [], 'select 1'],
  ['a; b ;c', ['a', ' b '], 'c'],
  [" ;; ;\n", [], ''],
  ["select ';', 'it''s;' ;", ["select ';', 'it''s;' "], ''],
  ['select ";" from "a;b";', ['select ";" from "a;b"'], ''],
  ['select 1; -- done;\n', ['select 1'], ''],
  ['select 1 -- not; yet\n', [], 'select 1 -- not; yet\n'],
  ['select /* ; */ 1; /* open', ['select /* ; */ 1'], ' /* open'],
  ['select $$;$$, $a$ ; $$ ; $a$;x', ['select $$;$$, $a$ ; $$ ; $a$'], 'x'],
  ['select a$b;', ['select a$b'], ''],
  ["select 'open;", [], "select 'open;"],
  ['/* said */;', [], ''],
])('%j', (text, statements, rest) => {
  expect(splitStatements(text)).toEqual({ statements, rest });
});

test('any pieces: what was found before is found again when more is typed, and no character of a statement is lost', () => {
  const piece = fc.constantFrom(';', "'", '"', '$$', '--', '\n', '/*', '*/', 'x', ' ', '$t$', 'select 1');
  fc.assert(fc.property(fc.array(piece), fc.array(piece), (first, more) => {
    const before = splitStatements(first.join(''));
    const after = splitStatements(`${before.rest}${more.join('')}`);
    const whole = splitStatements(`${first.join('')}${more.join('')}`);
    // Quotes that are open go on in `rest`; only what was dropped as comment may end differently.
    if (before.rest !== '' || first.join('').endsWith(';')) expect([...before.statements, ...after.statements]).toEqual(whole.statements);
  }), { seed: 20, numRuns: 500 });
});
