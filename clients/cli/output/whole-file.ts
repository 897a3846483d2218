import { createReadStream } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { MillraceError } from '../../../pushdown/types/error.js';
import { writeOut } from './write.js';

/**
 * A file that appears whole or not at all: `write` fills a file in a folder of its own (where it may leave other files too),
 * which then takes the target's place. Without a target the bytes go to stdout.
 */
export async function wholeFile<T>(target: string | undefined, write: (path: string) => Promise<T>): Promise<T> {
  const near = target === undefined ? join(tmpdir(), 'millrace-') : join(dirname(target), `.${basename(target)}.partial-`);
  const folder = await mkdtemp(near).catch((cause: unknown) => {
    throw new MillraceError('MR_FILE', `${target ?? tmpdir()} cannot be written (${(cause as NodeJS.ErrnoException).code ?? String(cause)}).`, { cause });
  });
  const partial = join(folder, 'out');
  try {
    const result = await write(partial);
    if (target === undefined) for await (const part of createReadStream(partial, { highWaterMark: 1 << 20 })) await writeOut(part as Buffer);
    else await rename(partial, target);
    return result;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
