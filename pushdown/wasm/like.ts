/** SQL LIKE with % (any characters) and _ (one character), no escape; characters are code points. Greedy with one backtrack point. */
export function matchesLike(text: string, pattern: string): boolean {
  const t = [...text];
  const p = [...pattern];
  let i = 0;
  let j = 0;
  let star = -1;
  let resume = 0;
  while (i < t.length) {
    if (j < p.length && p[j] === '%') {
      star = j++;
      resume = i;
    } else if (j < p.length && (p[j] === '_' || p[j] === t[i])) {
      i++;
      j++;
    } else if (star >= 0) {
      j = star + 1;
      i = ++resume;
    } else return false;
  }
  while (p[j] === '%') j++;
  return j === p.length;
}
