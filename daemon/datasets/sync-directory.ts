import { closeSync, fsyncSync, openSync } from 'node:fs';

/** Makes the names in a directory durable: a file synced under a name that is not is lost with the name. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
