/** SQL LIKE without escapes: % any run of characters, _ one character (a code point). */
export function likeMatcher(pattern: string): (text: string) => boolean {
  const parts = [...pattern].map((c) => (c === '%' ? '.*' : c === '_' ? '.' : c.replace(/[\\^$.*+?()[\]{}|/]/u, '\\$&')));
  const regexp = new RegExp(`^${parts.join('')}$`, 'su');
  return (text) => regexp.test(text);
}
