import type { CommandQueue } from './queue.js';

export type { CommandFields } from './queue.js';

/** What carries commands to a device, over shared memory or a network. */
export type CommandSender = Pick<CommandQueue, 'acquire' | 'release' | 'send'>;
