import type { Node } from './ir.js';
import { Unsupported } from './unsupported.js';

/**
 * A text that a function makes lies where the next row's will: what keeps texts by their place cannot have it.
 * @throws Unsupported
 */
export function refuseMadeText(node: Node, what: string): void {
  if (node.rep === 'utf8' && isMade(node)) throw new Unsupported(`a text that a function makes as ${what}`);
}

function isMade(node: Node): boolean {
  return node.op === 'call' || (node.op === 'coalesce' && node.args.some(isMade));
}
