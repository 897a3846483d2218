import { Readable } from 'node:stream';
import type { NativeDevice } from '../../native/index.js';
import type { RestServer } from './server.js';

/** Bytes of one transfer at most: so long may one answer keep others waiting at once. */
const partBytesMax = 256 << 10;

/** Answers cross the modelled link as frames do (frame-sink.ts): streams part by part, others before they are sent. */
export function paceAnswers(server: RestServer, device: Pick<NativeDevice, 'linkTransfer'>): void {
  server.addHook('onSend', async (_request, _reply, payload: unknown) => {
    const pace = new LinkPace(device);
    if (payload instanceof Readable) return pacedStream(payload, pace);
    if (typeof payload === 'string' || payload instanceof Uint8Array) await pace.carry(Buffer.byteLength(payload));
    return payload;
  });
}

/** Holds answers back until the modelled link has carried them. One per answer: its latency is seen once. */
export class LinkPace {
  readonly #device: Pick<NativeDevice, 'linkTransfer'>;
  #goesOn = false;

  constructor(device: Pick<NativeDevice, 'linkTransfer'>) {
    this.#device = device;
  }

  /** Resolves when the bytes are over. */
  async carry(bytes: number): Promise<void> {
    const goesOn = this.#goesOn;
    this.#goesOn = true;
    await this.#device.linkTransfer(bytes, goesOn);
  }
}

/** The same bytes, each part when the link has carried it. */
export function pacedStream(source: Readable, pace: LinkPace): Readable {
  const parts = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of source as AsyncIterable<Uint8Array | string>) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      for (let at = 0; at < bytes.byteLength; at += partBytesMax) {
        const part = bytes.subarray(at, at + partBytesMax);
        await pace.carry(part.byteLength);
        yield part;
      }
    }
  };
  const paced = Readable.from(parts(), { objectMode: false });
  // At once, also while the source has nothing to give.
  paced.once('close', () => source.destroy());
  return paced;
}
