import fc from 'fast-check';
import { expect, it } from 'vitest';
import { jsonFault } from '../../daemon/rest/json-fault.js';

it.each([
  ['{"a":1,}', 7], ['{"a":1', 6], ['', 0], ['[1 2]', 3], ['{"a" 1}', 5], ['[01]', 2], ['[1.]', 2], ['"a\nb"', 2], ['"\\x"', 2], ['"\\u12g4"', 5], ['"\\u12', 5], ['[true, fals]', 11], ['{} {}', 3], ['{a:1}', 1], ['[,]', 1], ['[1,]', 3], ['-', 0], [']', 0], ['{"a":}', 5], ['"', 1],
])('%j stops being JSON at %i', (text, at) => {
  expect(jsonFault(text)).toBe(at);
});

it('finds nothing where JSON.parse does not, something where it does, and the same place where V8 says one', () => {
  const damaged = fc.tuple(fc.json(), fc.nat(), fc.constantFrom('', ',', '"', '}', ']', '\\', '0', '-', 'e', '\n', '\u0001', ' ', 'ü'), fc.boolean()).map(([text, n, c, cut]) => {
    const at = n % (text.length + 1);
    return text.slice(0, at) + c + text.slice(at + (cut ? 1 : 0));
  });
  fc.assert(
    fc.property(damaged, (text) => {
      let fault: string | undefined;
      try {
        JSON.parse(text);
      } catch (error) {
        fault = (error as Error).message;
      }
      const at = jsonFault(text);
      expect([text, at === undefined]).toEqual([text, fault === undefined]);
      const said = /at position (\d+)/.exec(fault ?? '')?.[1];
      // Of a bad escape V8 names the end, here it is the character itself; of a number cut short this names its beginning.
      if (said !== undefined && at !== undefined && !/escape|Bad|No number|Exponent|Unterminated/.test(fault ?? '')) expect([text, fault, at]).toEqual([text, fault, Number(said)]);
    }),
    { seed: 7, numRuns: 3_000 },
  );
});

it('takes a megabyte of text and 100,000 levels', () => {
  expect(jsonFault(JSON.stringify({ a: 'x\\"'.repeat(300_000) }))).toBeUndefined();
  expect(jsonFault('['.repeat(100_000))).toBe(100_000);
});
