import type { BarGroup } from './benchmark.js';
import type { BenchReport } from './report.js';

const missedColour = '#c0605a';
const plainColour = '#3f7f93';
/** Of "0.00x" in 12 points, with the space before it. */
const labelWidth = 48;

export interface SvgOptions {
  /** What the bars show. */
  readonly ratioMeans?: string;
  readonly groups?: readonly BarGroup[];
}

/** Bars of the ratio per case, the target as a tick, on a plain SVG: what a README can show. What missed its target is red, whatever group it is of. */
export function reportSvg(r: BenchReport, { ratioMeans = 'times faster than the peer (dashed: target)', groups = [] }: SvgOptions = {}): string {
  const rows = r.results.filter((x) => x.ratio !== undefined);
  const max = Math.max(1, ...rows.map((x) => Math.max(x.ratio ?? 0, x.target ?? 0))) * 1.1;
  const left = Math.max(260, ...rows.map((row) => row.case.length * 6.2));
  const width = left + 500;
  const x = (v: number) => left + (v / max) * (width - left - 70);
  const text = (s: string) => s.replace(/[<>&]/g, (c) => `&#${c.charCodeAt(0)};`);
  const first = groups.length > 0 ? 80 : 56;
  const bars = rows.map((row, i) => {
    const y = first + i * 24;
    const ratio = row.ratio ?? 0;
    const colour = row.met === false ? missedColour : (groups.find((group) => group.has(row))?.colour ?? plainColour);
    // Beside its bar, and behind whatever line it would stand on.
    const lines = [x(1), ...(row.target === undefined ? [] : [x(row.target)])].sort((a, b) => a - b);
    const label = lines.reduce((at, line) => (line > at - 6 && line < at + labelWidth ? line + 6 : at), x(Math.max(ratio, row.spread[1])) + 6);
    return [
      `<text x="${left - 8}" y="${y + 12}" text-anchor="end">${text(row.case)}</text>`,
      `<rect x="${left}" y="${y}" width="${x(ratio) - left}" height="16" fill="${colour}"/>`,
      row.spread[0] === row.spread[1] ? '' : `<line x1="${x(row.spread[0])}" x2="${x(row.spread[1])}" y1="${y + 8}" y2="${y + 8}" stroke="#222"/>`,
      row.target === undefined ? '' : `<line x1="${x(row.target)}" x2="${x(row.target)}" y1="${y - 2}" y2="${y + 18}" stroke="#222" stroke-dasharray="2 2"/>`,
      `<text x="${label}" y="${y + 12}">${ratio.toFixed(2)}x</text>`,
    ].join('');
  });
  const shown = [...groups.filter((group) => rows.some((row) => group.has(row))), ...(rows.some((row) => row.met === false) ? [{ name: 'missed its target', colour: missedColour }] : [])];
  const legend = groups.length === 0 ? [] : shown.map(({ name, colour }, i) => `<rect x="${12 + i * 190}" y="50" width="12" height="12" fill="${colour}"/><text x="${30 + i * 190}" y="60">${text(name)}</text>`);
  const height = first + 16 + rows.length * 24;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12"><title>${text(r.name)}: ${text(r.question)}</title><rect width="100%" height="100%" fill="#fff"/><text x="12" y="22" font-size="15">${text(r.name)}: ${text(ratioMeans)}</text><text x="12" y="40" fill="#555">${text(r.machine)}</text>${legend.join('')}<line x1="${x(1)}" x2="${x(1)}" y1="${first - 6}" y2="${height - 12}" stroke="#999"/>${bars.join('')}</svg>\n`;
}
