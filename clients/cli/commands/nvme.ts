import { MillraceError } from '../../../pushdown/types/error.js';
import { exitCodes } from '../exit-code.js';
import { kv, type KvSettings, type KvVerb } from '../nvme/kv.js';
import { type DeviceSettings, withDevice } from '../nvme/open-device.js';
import { effectsLog, errorLog, type Format, idCtrl, idNs, list, listNs, smartLog } from '../nvme/show.js';
import { type BlockSettings, numberOption, passthru, type PassthruSettings, read, write } from '../nvme/transfer.js';
import { writeOut } from '../output/write.js';

export type NvmeVerb = 'list' | 'id-ctrl' | 'id-ns' | 'list-ns' | 'smart-log' | 'error-log' | 'effects-log' | 'read' | 'write' | 'io-passthru' | 'admin-passthru' | 'kv';
export interface NvmeSettings extends DeviceSettings, BlockSettings, PassthruSettings, KvSettings {
  readonly outputFormat: Format;
  readonly logEntries?: string;
  readonly csi?: string;
}

/** One command to a device, in nvme-cli's words. Resolves with the exit code. */
export async function nvme(verb: NvmeVerb, settings: NvmeSettings, words: readonly string[]): Promise<number> {
  const format = settings.outputFormat;
  return withDevice(settings, async (device): Promise<number> => {
    switch (verb) {
      case 'list': await writeOut(await list(device, format)); break;
      case 'id-ctrl': await writeOut(await idCtrl(device, format)); break;
      case 'id-ns': await writeOut(await idNs(device, numberOption(settings.namespaceId, 'namespace-id') ?? 1, format)); break;
      case 'list-ns': await writeOut(await listNs(device, format)); break;
      case 'smart-log': await writeOut(await smartLog(device, format)); break;
      case 'error-log': await writeOut(await errorLog(device, entries(settings.logEntries), format)); break;
      case 'effects-log': await writeOut(await effectsLog(device, numberOption(settings.csi, 'csi', 255), format)); break;
      case 'read': await read(device, settings); break;
      case 'write': process.stderr.write(await write(device, settings)); break;
      case 'io-passthru': await passthru(device, 'io', settings, format); break;
      case 'admin-passthru': await passthru(device, 'admin', settings, format); break;
      case 'kv': return (await kv(device, words[0] as KvVerb, words[1], settings, format)) ? exitCodes.ok : exitCodes.error;
      default: return verb satisfies never;
    }
    return exitCodes.ok;
  });
}

function entries(text: string | undefined): number | undefined {
  const count = numberOption(text, 'log-entries', 0xffff);
  if (count === 0) throw new MillraceError('MR_USAGE', '--log-entries is at least 1.', { field: 'log-entries' });
  return count;
}
