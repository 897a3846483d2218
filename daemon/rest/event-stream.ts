import type { ServerResponse } from 'node:http';
import type { Job } from './job-registry.js';

const heartbeatMs = 15_000;

/**
 * A job's progress as server-sent events: `progress` with a JobView on news, `end` as the last one. What a slow reader has
 * not taken is not queued: the next event carries everything.
 */
export function streamProgress(job: Job, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  const heartbeat = setInterval(() => {
    if (!response.writableNeedDrain) response.write(': still here\n\n');
  }, heartbeatMs);
  const tell = () => {
    if (job.ended) {
      stop();
      response.end(event('end', job));
    } else if (!response.writableNeedDrain) response.write(event('progress', job));
  };
  const stop = () => {
    clearInterval(heartbeat);
    job.off('change', tell);
    response.off('drain', tell);
  };
  job.on('change', tell);
  response.on('drain', tell);
  response.once('close', stop);
  tell();
}

const event = (name: string, job: Job): string => `event: ${name}\ndata: ${JSON.stringify(job.view())}\n\n`;
