/** Writes to stdout and waits while the reader is slow. A reader that went away (`| head`) ends the command quietly. */
export async function writeOut(bytes: string | Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => process.stdout.write(bytes, (error) => (error ? reject(error) : resolve())));
}

/** Whether an error only says that nobody reads any more. */
export function readerLeft(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'EPIPE';
}
