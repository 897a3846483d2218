import type { Logger } from 'pino';
import type { AuthenticationEvent, NativeDevice } from '../../native/index.js';
import { DhchapExchange, type DhchapHost } from './dhchap-exchange.js';
import type { FfdheGroup } from './ffdhe.js';

/** Answers the device's NVMe/TCP hosts that prove who they are. */
export function authenticateHosts(device: NativeDevice, hosts: ReadonlyMap<string, DhchapHost>, group: 0 | FfdheGroup, log: Logger): void {
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
    device.answerAuthentication(exchange, outcome, reply);
  }
}
