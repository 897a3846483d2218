import type { Logger } from 'pino';
import type { FfdheGroup } from '../../native/dhchap/ffdhe.js';
import type { AttachRights, AuthenticationEvent, NativeDevice } from '../../native/index.js';
import { DhchapExchange, type DhchapHost } from './dhchap-exchange.js';

export interface AuthenticatorOptions {
  readonly device: NativeDevice;
  readonly hosts: ReadonlyMap<string, DhchapHost>;
  readonly group: 0 | FfdheGroup;
  /** What a token of this name may do now; undefined: there is none. */
  readonly rightsOf: (token: string) => AttachRights | undefined;
  readonly log: Logger;
}

/** Answers the device's NVMe/TCP hosts that prove who they are. Whoever has acts with the rights of its token. */
export function authenticateHosts({ device, hosts, group, rightsOf, log }: AuthenticatorOptions): void {
  const exchanges = new Map<number, DhchapExchange>();
  device.onAuthentication((event) => {
    if (event.message === undefined) exchanges.delete(event.connection);
    else void answer(event, event.message).catch((err: unknown) => log.error({ err }, 'while a host authenticated'));
  });

  async function answer({ connection, exchange = 0, host: hostNqn = '', subsystem = '' }: AuthenticationEvent, message: Uint8Array): Promise<void> {
    const host = hosts.get(hostNqn);
    if (!host) return void device.answerAuthentication(exchange, 'failed', new Uint8Array());
    const running = exchanges.get(connection) ?? new DhchapExchange({ hostNqn, subsystemNqn: subsystem, host, group });
    exchanges.set(connection, running);
    const { outcome, reply } = await running.receive(message);
    if (outcome === 'failed') log.warn({ host: hostNqn }, 'an NVMe/TCP host did not prove who it is');
    const rights = outcome === 'proved' && host.token !== undefined ? rightsOf(host.token) : undefined;
    if (outcome !== 'proved' || host.token === undefined) return void device.answerAuthentication(exchange, outcome, reply);
    if (rights) return void device.answerAuthentication(exchange, 'proved', reply, rights);
    log.warn({ host: hostNqn, token: host.token }, 'an NVMe/TCP host proved who it is, but its token is not there any more');
    device.answerAuthentication(exchange, 'failed', running.refuse());
  }
}
