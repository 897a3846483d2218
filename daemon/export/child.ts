// Export child: attaches to the device read-only and writes one dataset as an Arrow IPC stream to stdout.
import { native } from '../../native/index.js';
import { CommandQueue } from '../../native/queue.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { Media } from '../datasets/media.js';
import { exportStream } from './export-stream.js';
import type { FromExport, StartExport } from './protocol.js';

const dataBytes = 4 << 20;
const entries = 16;

async function run({ socketPath, ticket, columns, layout }: StartExport): Promise<FromExport> {
  const queue = new CommandQueue(native().attachDevice(socketPath, { ticket, dataBytes, entries, besideDevice: true }), { entries });
  try {
    await exportStream(columns, layout, new Media(queue), process.stdout);
    return { kind: 'done' };
  } catch (error) {
    if (error instanceof MillraceError) return { kind: 'error', code: error.code, detail: error.message };
    return { kind: 'error', code: 'MR_EXPORT_FAILED', detail: error instanceof Error ? error.message : String(error) };
  } finally {
    queue.close();
  }
}

// The daemon is gone: nobody reads on.
process.once('disconnect', () => process.exit(1));
process.stdout.on('error', () => process.exit(1));
process.once('message', (start: StartExport) => {
  // exportStream waited for every write, so nothing is left in stdout.
  void run(start).then((outcome) => process.send?.(outcome, () => process.exit(outcome.kind === 'done' ? 0 : 1)));
});
