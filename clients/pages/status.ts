// The page /status: what the daemon is doing, asked for once a second while someone looks.
import type { DatasetInfo } from '../../pushdown/types/dataset-info.js';
import type { KernelInfo } from '../node/user/user-code.js';
import { Api } from './api.js';
import { byId, h } from './dom.js';
import { RateHistory } from './rate-history.js';
import { type DaemonStatus, statusView } from './status-view.js';
import { askForToken } from './token-form.js';

const refreshMs = 1000;

const api = new Api();
const live = byId('live', HTMLElement);
const history = new RateHistory();
let timer: ReturnType<typeof setTimeout> | undefined;
let asking = false;

document.addEventListener('visibilitychange', () => void refresh());
await refresh();

async function refresh(): Promise<void> {
  clearTimeout(timer);
  if (document.hidden || asking) return;
  asking = true;
  try {
    const [status, { datasets }, { kernels }] = await Promise.all([api.json<DaemonStatus>('/v1/status'), api.json<{ datasets: DatasetInfo[] }>('/v1/datasets'), api.json<{ kernels: KernelInfo[] }>('/v1/kernels')]);
    history.add(performance.now(), status);
    for (const [id, content] of Object.entries(statusView(status, datasets, kernels, history))) byId(id, HTMLElement).replaceChildren(...content);
    live.className = 'live on';
    live.replaceChildren(h('span', { class: 'dot' }), 'live');
  } catch (error) {
    live.className = 'live off';
    live.textContent = error instanceof Error ? error.message : String(error);
    if (askForToken(api, error, () => void refresh())) return;
  } finally {
    asking = false;
  }
  timer = setTimeout(() => void refresh(), refreshMs);
}
