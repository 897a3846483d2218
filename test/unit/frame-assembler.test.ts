import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameAssembler } from '../../clients/node/scan/frame-assembler.js';
import { FrameFlag, FrameHeader, FrameHeaderMagic, FrameKind } from '../../pushdown/runtime/wire.gen.js';

interface Wanted { readonly morsel: number; readonly rows: number; readonly buffers: readonly Uint8Array[] }

const pad = (bytes: number): number => (bytes + 63) & ~63;

function encode({ morsel, rows, buffers }: Wanted): Uint8Array {
  const body = pad(buffers.length * 8) + buffers.reduce((sum, b) => sum + pad(b.length), 0);
  const bytes = new Uint8Array(FrameHeader.bytes + body);
  const view = new DataView(bytes.buffer);
  view.setUint32(FrameHeader.magic, FrameHeaderMagic, true);
  view.setUint16(FrameHeader.kind, FrameKind.Result, true);
  view.setUint16(FrameHeader.flags, FrameFlag.Last, true);
  view.setUint32(FrameHeader.morsel, morsel, true);
  view.setUint32(FrameHeader.rows, rows, true);
  view.setUint32(FrameHeader.bufferCount, buffers.length, true);
  view.setBigUint64(FrameHeader.bodyBytes, BigInt(body), true);
  let at = FrameHeader.bytes + pad(buffers.length * 8);
  for (const [i, buffer] of buffers.entries()) {
    view.setBigUint64(FrameHeader.bytes + i * 8, BigInt(buffer.length), true);
    bytes.set(buffer, at);
    at += pad(buffer.length);
  }
  return bytes;
}

const frame = fc.record({ morsel: fc.nat(1000), rows: fc.nat(100), buffers: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }) });

describe('frame assembler', () => {
  it('gives the same frames wherever the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }), fc.boolean(), (frames, cuts, reuse) => {
        const bytes = Buffer.concat(frames.map(encode));
        const assembler = new FrameAssembler({ reuse });
        const got: Wanted[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const step = cuts[i % cuts.length]!;
          for (const f of assembler.push(bytes.subarray(at, at + step))) got.push({ morsel: f.morsel, rows: f.rows, buffers: f.buffers.map((b) => new Uint8Array(b)) });
          at += step;
        }
        assembler.end();
        expect(got).toEqual(frames.map((f) => ({ ...f, buffers: f.buffers.map((b) => new Uint8Array(b)) })));
      }),
      { seed: 20261121, numRuns: 200 },
    );
  });

  it('aligns buffers to 64 bytes and copies them out of the stream', () => {
    const chunk = encode({ morsel: 1, rows: 4, buffers: [new Uint8Array(0), Uint8Array.of(1, 2, 3)] });
    const [got] = [...new FrameAssembler().push(chunk)];
    chunk.fill(0xff);
    expect(got!.buffers[1]!.byteOffset % 64).toBe(0);
    expect([...got!.buffers[1]!]).toEqual([1, 2, 3]);
  });

  it('refuses what is no frame, and a stream that ends inside one', () => {
    expect(() => [...new FrameAssembler().push(new Uint8Array(64))]).toThrow(expect.objectContaining({ code: 'MR_FRAME_INVALID' }));
    const huge = encode({ morsel: 0, rows: 0, buffers: [] });
    new DataView(huge.buffer).setBigUint64(FrameHeader.bodyBytes, 1n << 40n, true);
    expect(() => [...new FrameAssembler().push(huge)]).toThrow(expect.objectContaining({ code: 'MR_FRAME_INVALID' }));
    const assembler = new FrameAssembler();
    expect([...assembler.push(encode({ morsel: 0, rows: 1, buffers: [Uint8Array.of(1)] }).subarray(0, 100))]).toEqual([]);
    expect(() => assembler.end()).toThrow(expect.objectContaining({ code: 'MR_LINK_BROKEN' }));
  });
});
