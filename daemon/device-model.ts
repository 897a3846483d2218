import { join } from 'node:path';
import { modelOf } from '../device-sim/simulate.js';
import { type DeviceProfile, loadProfile } from '../device-sim/profile.js';
import { type LinkSetting, parseLink } from '../device-sim/link-setting.js';
import { packageRoot } from '../native/index.js';
import type { ModelConfig } from '../native/model.js';

/** What the device models; nothing of it with profile `local` and no wish besides. */
export interface DeviceModel {
  readonly profile: string;
  readonly link?: LinkSetting;
  /** 1: this machine's cores. */
  readonly coreFactor: number;
  /** Media and power. */
  readonly device?: Pick<ModelConfig, 'media' | 'power'>;
}

/** SLM is mapped into a 32-bit memory beside the kernel's own pages: a device with more has this much. */
const slmBytesMax = 3 * 2 ** 30;
const inPlaceSlmBytes = 128 * 2 ** 20;

export const profileOf = (nameOrFile: string): DeviceProfile => loadProfile(nameOrFile, join(packageRoot, 'device-sim/profiles'));

/** What a profile says where the configuration says nothing: one slot per modelled core, its device memory, its core factor. */
export function profileDefaults(profile: DeviceProfile): { slots?: number; slmBytes?: number; coreFactor?: number } {
  return {
    ...(profile.core ? { slots: profile.core.count, coreFactor: profile.core.factor } : {}),
    // Datasets are executed in place there: the window belongs to them.
    ...(profile.media?.kind === 'memory' ? { slmBytes: inPlaceSlmBytes } : {}),
    ...(profile.memory ? { slmBytes: Math.min(profile.memory.bytes, slmBytesMax) } : {}),
  };
}

/** `link` of the configuration counts before the profile's; `none` takes the profile's away. */
export function deviceModel(config: { readonly profile: string; readonly link?: string | undefined; readonly coreFactor: number }): DeviceModel {
  const profile = profileOf(config.profile);
  const { name, link: profileLink } = profile;
  const { media, power } = modelOf(profile);
  const link = config.link === undefined ? profileLink && { bytesPerSecond: profileLink.bytesPerSecond, latencyNs: profileLink.latencyNs } : parseLink(config.link);
  return { profile: name, coreFactor: config.coreFactor, ...(link ? { link } : {}), ...(media ? { device: { media, ...(power ? { power } : {}) } } : {}) };
}
