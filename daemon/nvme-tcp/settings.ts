import type { DeviceConfig } from '../../native/index.js';
import type { DaemonConfig } from '../config.js';
import type { DhchapHost } from './dhchap-exchange.js';
import { parseEndpoint } from './endpoint.js';
import type { FfdheGroup } from '../../native/dhchap/ffdhe.js';
import { readSecretFile } from './secret-file.js';

const groupIds = { null: 0, ffdhe2048: 1, ffdhe3072: 2, ffdhe4096: 3, ffdhe6144: 4, ffdhe8192: 5 } as const satisfies Record<DaemonConfig['nvmeTcpDhGroup'], 0 | FfdheGroup>;

export interface NvmeTcpSettings {
  readonly device: NonNullable<DeviceConfig['nvmeTcp']>;
  /** Of the hosts that may come in; absent: any may. */
  readonly secrets?: ReadonlyMap<string, DhchapHost>;
  readonly group: 0 | FfdheGroup;
}

/** What the configuration says of NVMe/TCP; undefined: nothing. */
export function nvmeTcpSettings(config: DaemonConfig): NvmeTcpSettings | undefined {
  if (config.nvmeTcp === undefined) return undefined;
  const secrets = config.nvmeTcpSecretFile === undefined ? undefined : readSecretFile(config.nvmeTcpSecretFile);
  const advertised = config.nvmeTcpAdvertise === undefined ? undefined : parseEndpoint(config.nvmeTcpAdvertise, 0);
  return {
    device: {
      ...parseEndpoint(config.nvmeTcp),
      ...(advertised ? { advertisedAddress: advertised.address, advertisedPort: advertised.port } : {}),
      ...(secrets ? { hosts: [...secrets.keys()] } : {}),
    },
    ...(secrets ? { secrets } : {}),
    group: groupIds[config.nvmeTcpDhGroup],
  };
}
