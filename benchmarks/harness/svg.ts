import type { BenchReport } from './report.js';

/** Bars of the ratio per case, the target as a tick, on a plain SVG: what a README can show. */
export function reportSvg(r: BenchReport, ratioMeans = 'times faster than the peer (dashed: target)'): string {
  const rows = r.results.filter((x) => x.ratio !== undefined);
  const max = Math.max(1, ...rows.map((x) => Math.max(x.ratio ?? 0, x.target ?? 0))) * 1.1;
  const left = Math.max(260, ...rows.map((row) => row.case.length * 6.2));
  const width = left + 500;
  const x = (v: number) => left + (v / max) * (width - left - 70);
  const text = (s: string) => s.replace(/[<>&]/g, (c) => `&#${c.charCodeAt(0)};`);
  const bars = rows.map((row, i) => {
    const y = 56 + i * 24;
    const ratio = row.ratio ?? 0;
    return [
      `<text x="${left - 8}" y="${y + 12}" text-anchor="end">${text(row.case)}</text>`,
      `<rect x="${left}" y="${y}" width="${x(ratio) - left}" height="16" fill="${row.met === false ? '#c0605a' : '#3f7f93'}"/>`,
      `<line x1="${x(row.spread[0])}" x2="${x(row.spread[1])}" y1="${y + 8}" y2="${y + 8}" stroke="#222"/>`,
      row.target === undefined ? '' : `<line x1="${x(row.target)}" x2="${x(row.target)}" y1="${y - 2}" y2="${y + 18}" stroke="#222" stroke-dasharray="2 2"/>`,
      `<text x="${x(Math.max(ratio, row.spread[1])) + 6}" y="${y + 12}">${ratio.toFixed(2)}x</text>`,
    ].join('');
  });
  const height = 72 + rows.length * 24;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12"><title>${text(r.name)}: ${text(r.question)}</title><rect width="100%" height="100%" fill="#fff"/><text x="12" y="22" font-size="15">${text(r.name)}: ${text(ratioMeans)}</text><text x="12" y="40" fill="#555">${text(r.machine)}</text><line x1="${x(1)}" x2="${x(1)}" y1="50" y2="${height - 12}" stroke="#999"/>${bars.join('')}</svg>\n`;
}
