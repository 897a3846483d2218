import { isIPv4, isIPv6 } from 'node:net';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** `127.0.0.1:4420`, `[::1]:4420`, `localhost:4420`, a bare address where `defaultPort` says so. Throws RangeError with a sentence. */
export function parseEndpoint(text: string, defaultPort?: number): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text.trim()) ?? (isIPv6(text.trim()) ? ['', text.trim()] : undefined);
  const named = match?.[1] ?? match?.[2] ?? '';
  const address = named === 'localhost' ? '127.0.0.1' : named;
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (port === undefined || port > 65535 || !(isIPv4(address) || isIPv6(address))) throw new RangeError(`'${text}' is no address and port: write 127.0.0.1:4420 or [::1]:4420`);
  return { address, port };
}
