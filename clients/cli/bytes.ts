import { MillraceError } from '../../pushdown/types/error.js';

const units: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** `512MiB`, `2G`, `4096` as bytes; units are powers of 1024. @throws MillraceError MR_USAGE */
export function parseBytes(text: string): number {
  const found = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  const bytes = found ? Math.floor(Number(found[1]) * (units[(found[2] ?? '').toLowerCase()] ?? Number.NaN)) : Number.NaN;
  if (!Number.isSafeInteger(bytes)) throw new MillraceError('MR_USAGE', `'${text}' is no number of bytes: write 4096, 512MiB or 2GiB.`);
  return bytes;
}

/** Bytes for people. */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(4, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
}
