import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it, vi } from 'vitest';
import { readConfig } from '../../daemon/config.js';
import { LinkPace, pacedStream } from '../../daemon/rest/link-pace.js';
import { linkModelMs } from '../../clients/node/scan/link-model.js';
import { explainText } from '../../clients/node/sql/explain-sql.js';
import { parseLink } from '../../device-sim/link-setting.js';

describe('--link', () => {
  it.each([
    ['1Gbit,0.2ms', 125_000_000, 200_000],
    ['0.2ms, 1Gbit', 125_000_000, 200_000],
    ['100Mbit', 12_500_000, 0],
    ['10 gbit', 1_250_000_000, 0],
    ['3.5GB/s,200ns', 3_500_000_000, 200],
    ['2GiB/s', 2 ** 31, 0],
    ['50us', 0, 50_000],
    ['1s', 0, 1_000_000_000],
  ])('%s', (text, bytesPerSecond, latencyNs) => {
    expect(parseLink(text)).toEqual({ bytesPerSecond, latencyNs });
  });

  it('none takes a link away', () => {
    expect(parseLink('none')).toBeUndefined();
  });

  it.each(['', 'fast', '1', '1Gbit,2Gbit', '1ms,2ms', '-1Gbit', '0Gbit', '1Gbit,', '1Gbit,0.2', '1e9bit', '11s', '1Tbit', '9'.repeat(400)])('refuses %s', (link) => {
    expect(() => readConfig({ dir: '/d', link })).toThrow(expect.objectContaining({ code: 'MR_CONFIG', at: expect.objectContaining({ field: 'link' }) }));
  });

  it('says how long bytes take at least', () => {
    expect(linkModelMs({ bytesPerSecond: 12_500_000, latencyNs: 200_000 }, 25_000_000)).toBeCloseTo(2000.2, 9);
    expect(linkModelMs({ bytesPerSecond: 0, latencyNs: 1_000_000 }, 1e9)).toBe(1);
  });
});

describe('EXPLAIN ANALYZE', () => {
  const row = { id: 'Exchange_1', op: 'Exchange', estRows: null, actRows: null, where: 'link', bytes: 12_500_000, time: 7.25, info: 'i' } as const;
  it('has a column of its own for modelled time, and only where there is a model', () => {
    expect(explainText([row])).not.toContain('linkModel');
    const lines = explainText([{ ...row, linkModelMs: 1000.2 }]).split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
    expect(lines[1]).toEqual(['', 'id', 'estRows', 'actRows', 'where', 'bytes', 'time', 'linkModel', 'info', '']);
    expect(lines[3]).toEqual(['', 'Exchange_1', '', '', 'link', '12500000', '7.3ms', '1000.2ms', 'i', '']);
  });
});

describe('answers on a modelled link', () => {
  it('are the same bytes, in parts, the first of which sees the latency', async () => {
    const parts: [number, boolean][] = [];
    const pace = new LinkPace({ linkTransfer: async (bytes, goesOn) => { parts.push([bytes, goesOn]); } });
    const bytes = Buffer.alloc(700_000, 'millrace');
    const source = Readable.from([bytes.subarray(0, 600_000), 'text', bytes.subarray(600_000)], { objectMode: true });
    expect((await buffer(pacedStream(source, pace))).equals(Buffer.concat([bytes.subarray(0, 600_000), Buffer.from('text'), bytes.subarray(600_000)]))).toBe(true);
    expect(parts).toEqual([[262_144, false], [262_144, true], [75_712, true], [4, true], [100_000, true]]);
  });

  it('end their source when the reader leaves, and break off where it breaks', async () => {
    const pace = new LinkPace({ linkTransfer: async () => undefined });
    const source = new Readable({ read() { this.push(Buffer.alloc(1000)); } });
    const paced = pacedStream(source, pace);
    for await (const _ of paced) break;
    await vi.waitFor(() => expect(source.destroyed).toBe(true));
    const broken = Readable.from((async function* () { yield Buffer.from('x'); throw new Error('broke'); })());
    await expect(buffer(pacedStream(broken, pace))).rejects.toThrow('broke');
  });
});
