import { createHash } from 'node:crypto';

const digests = new WeakMap<Uint8Array, string>();

/** SHA-256 of a module, base64; computed once per array of bytes, which nobody changes. */
export function moduleDigest(wasm: Uint8Array): string {
  let digest = digests.get(wasm);
  if (digest === undefined) digests.set(wasm, (digest = createHash('sha256').update(wasm).digest('base64')));
  return digest;
}

export const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
