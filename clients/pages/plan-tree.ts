import type { ExplainRow } from '../node/scan/explain.js';
import { h } from './dom.js';
import { bytesText, countOf, millisText } from './format.js';

interface TreeNode {
  readonly row: ExplainRow;
  readonly children: TreeNode[];
}

const places = { device: 'device', host: 'host', 'device+host': 'device + host', link: 'link', none: 'nowhere' } as const satisfies Record<ExplainRow['where'], string>;

/** EXPLAIN as nested lists: what feeds an operator stands below it, where it ran at its side. */
export function planTree(rows: readonly ExplainRow[]): HTMLElement {
  return h('ul', { class: 'tree' }, ...treeOf(rows).map(item));
}

/** Ids carry the depth: two blanks a level, then a corner. */
function treeOf(rows: readonly ExplainRow[]): TreeNode[] {
  const roots: TreeNode[] = [];
  const path: TreeNode[] = [];
  for (const row of rows) {
    const corner = row.id.indexOf('└');
    const depth = corner < 0 ? 0 : corner / 2 + 1;
    const node: TreeNode = { row, children: [] };
    path.length = Math.min(depth, path.length);
    (path.at(-1)?.children ?? roots).push(node);
    path.push(node);
  }
  return roots;
}

function item({ row, children }: TreeNode): HTMLElement {
  const { op, where, estRows, actRows, bytes, time, info } = row;
  const figures = [
    actRows !== null ? countOf(actRows, 'row') : estRows !== null ? `about ${countOf(estRows, 'row')}` : '',
    bytes !== null ? `${bytesText(bytes)} over the link` : '',
    time !== null ? millisText(time) : '',
  ].filter(Boolean);
  const place = where === 'device+host' ? 'both' : where;
  return h(
    'li', {},
    h('div', { class: `operator at-${place}` },
      h('div', { class: 'operator-line' }, h('strong', {}, op), h('span', { class: `place at-${place}` }, places[where]), h('span', { class: 'operator-figures' }, figures.join(' · '))),
      h('div', { class: 'info' }, info)),
    children.length === 0 ? null : h('ul', {}, ...children.map(item)),
  );
}
