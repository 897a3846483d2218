import { h } from './dom.js';

const svg = 'http://www.w3.org/2000/svg';
const width = 120;
const height = 28;

/** The last values as a line, the newest at the right; `top` is full height, else the greatest value. */
export function sparkline(values: readonly number[], label: string, top = Math.max(0, ...values)): SVGSVGElement {
  const root = element('svg', { viewBox: `0 0 ${width} ${height}`, class: 'sparkline', role: 'img', 'aria-label': label, preserveAspectRatio: 'none' });
  if (values.length < 2) return root;
  const step = width / (values.length - 1);
  const points = values.map((value, i) => `${(i * step).toFixed(1)},${(height - 1 - (top > 0 ? value / top : 0) * (height - 3)).toFixed(1)}`);
  root.append(element('polygon', { points: `0,${height} ${points.join(' ')} ${width},${height}`, class: 'area' }), element('polyline', { points: points.join(' '), class: 'line' }));
  return root;
}

function element<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Readonly<Record<string, string>>): SVGElementTagNameMap[K] {
  const made = document.createElementNS(svg, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** A share of 1 as a bar. */
export function meter(label: string, share: number, text = `${Math.round(share * 100)} %`): HTMLElement {
  return h('div', { class: 'meter' }, h('span', { class: 'meter-label' }, label), h('progress', { max: '1', value: share.toFixed(3), 'aria-label': label }), h('span', { class: 'meter-text' }, text));
}
