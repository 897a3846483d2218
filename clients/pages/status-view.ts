import type { DeviceStats, TenantCaps } from '../../native/index.js';
import type { DatasetInfo } from '../../pushdown/types/dataset-info.js';
import type { KernelInfo } from '../node/user/user-code.js';
import { h, table } from './dom.js';
import { bytesText, countOf, countText, durationText, millisText } from './format.js';
import type { RateHistory } from './rate-history.js';
import { meter, sparkline } from './sparkline.js';
import { kernelsPanel, keysPanel, modelPanel, tenantsPanel } from './status-panels.js';

/** The part of GET /v1/status this page shows. */
export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly cores: readonly { readonly busyMs: number; readonly idleMs: number }[];
  readonly daemonRssBytes: number;
  readonly device: DeviceStats;
  readonly model: { readonly profile: string };
  readonly tenants: readonly { readonly name: string; readonly caps: TenantCaps; readonly kernels?: number; readonly slots: number; readonly slmBytes: number; readonly slmResidentBytes: number }[];
  readonly link: { readonly frameBytes: number; readonly socketInBytes: number; readonly socketOutBytes: number; readonly connections: number };
  readonly queryWorkers: readonly { readonly pid?: number; readonly state: string; readonly queries: number }[];
  readonly recentQueries: readonly { readonly sql: string; readonly answer: string; readonly pushdown: string; readonly startedMs: number; readonly ms: number; readonly outcome: string; readonly rows: number; readonly answerBytes: number }[];
  readonly recentEvents: readonly { readonly atMs: number; readonly kind: string; readonly detail: string }[];
}

const number = true;

/** What stands in each part of the page, by the part's id. */
export function statusView(status: DaemonStatus, datasets: readonly DatasetInfo[], kernels: readonly KernelInfo[], history: RateHistory): Readonly<Record<string, readonly Node[]>> {
  const { device } = status;
  return {
    tiles: tiles(status, history),
    cores: status.cores.map((_, core) => meter(`Core ${core}`, history.latest?.cores[core] ?? 0)),
    slots: [table([{ text: 'Slot' }, { text: 'State' }, { text: 'Tenant' }, { text: 'Process', number }, { text: 'Morsels run', number }], device.slots.map(({ id, pid, state, tenant, executes }) => [{ text: String(id) }, { text: state, class: `state-${state}` }, { text: tenant }, { text: pid > 0 ? String(pid) : '', number }, { text: countText(executes), number }]), 'No slots.')],
    queues: [
      h('p', { class: 'figures' }, `${countOf(device.associations, 'host')} attached${device.nvmeTcp ? `, ${countText(device.nvmeTcp.hosts)} of them over NVMe/TCP` : ''} · ${countOf(device.scansOpen, 'scan')} open · ${countOf(device.claimsOpen, 'claim')} open`),
      table([{ text: 'Queue' }, { text: 'Command' }, { text: 'Per second', number }, { text: 'All', number }], commandRows(status, history), 'No commands yet.'),
    ],
    memory: [
      meter('Resident', device.slm.bytes > 0 ? device.slm.residentBytes / device.slm.bytes : 0, `${bytesText(device.slm.residentBytes)} of ${bytesText(device.slm.bytes)}`),
      h('p', { class: 'figures' }, `${countText(device.slm.hits)} hits · ${countText(device.slm.misses)} misses · ${countText(device.slm.evictions)} evictions · ${countText(device.slm.windowLoads)} window loads · ${bytesText(device.mediaReadBytes)} read from media`),
    ],
    tenants: tenantsPanel(status),
    keys: keysPanel(status, history),
    kernels: kernelsPanel(status, kernels),
    model: modelPanel(status),
    workers: [table([{ text: 'Process' }, { text: 'State' }, { text: 'Queries', number }], status.queryWorkers.map(({ pid, state, queries }) => [{ text: String(pid ?? '') }, { text: state, class: `state-${state}` }, { text: countText(queries), number }]), 'None yet: the first query starts one.')],
    faults: faults(status),
    queries: [
      table(
        [{ text: 'At' }, { text: 'Statement' }, { text: 'Asked' }, { text: 'Outcome' }, { text: 'Rows', number }, { text: 'Answer', number }, { text: 'Time', number }],
        status.recentQueries.map(({ sql, answer, pushdown, startedMs, ms, outcome, rows, answerBytes }) => [
          { text: clock(startedMs) }, { text: sql.replace(/\s+/g, ' '), class: 'statement', title: sql }, { text: answer === 'plan' ? answer : `${answer} · ${pushdown}` }, { text: outcome, class: outcome === 'ok' ? 'good' : 'bad' },
          { text: outcome === 'ok' ? countText(rows) : '', number }, { text: outcome === 'ok' ? bytesText(answerBytes) : '', number }, { text: millisText(ms), number },
        ]),
        'No SQL yet.',
      ),
    ],
    datasets: [
      table(
        [{ text: 'Name' }, { text: 'Version', number }, { text: 'Rows', number }, { text: 'Row groups', number }, { text: 'Columns', number }, { text: 'Stored', number }],
        datasets.map(({ name, version, rows, rowGroups, columns, storedBytes }) => [{ text: name }, { text: String(version), number }, { text: countText(rows), number }, { text: countText(rowGroups), number }, { text: countText(columns.length), number }, { text: bytesText(storedBytes), number }]),
        'None yet.',
      ),
    ],
  };
}

function tiles(status: DaemonStatus, history: RateHistory): Node[] {
  const latest = history.latest;
  const busy = latest ? latest.cores.reduce((sum, core) => sum + core, 0) : 0;
  const tile = (title: string, value: string, detail: string, ...more: Node[]): Node => h('div', { class: 'tile' }, h('div', { class: 'tile-title' }, title), h('div', { class: 'tile-value' }, value), h('div', { class: 'tile-detail' }, detail), ...more);
  const { device } = status;
  return [
    tile('Up', durationText(status.uptimeSeconds), `version ${status.version} · process ${status.pid} · ${bytesText(status.daemonRssBytes)}`),
    tile('Over the link', `${bytesText(latest?.linkBytes ?? 0)}/s`, `${bytesText(device.resultBytes)} results, ${bytesText(device.chunkBytes)} chunks, ${bytesText(status.link.socketInBytes)} in`, sparkline(history.rates.map((rates) => rates.linkBytes), 'bytes a second over the link')),
    tile('Morsels in slots', `${countText(latest?.executes ?? 0)}/s`, `${countText(device.executes)} in all`, sparkline(history.rates.map((rates) => rates.executes), 'morsels a second')),
    tile('Cores busy', `${busy.toFixed(1)} of ${status.cores.length}`, 'of the whole machine', sparkline(history.rates.map((rates) => rates.cores.reduce((sum, core) => sum + core, 0)), 'cores busy', status.cores.length)),
  ];
}

function commandRows(status: DaemonStatus, history: RateHistory) {
  // What there is most of comes first: the order hardly changes while one looks.
  return Object.entries(status.device.commands).sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([name, all]) => {
    const slash = name.indexOf('/');
    return [{ text: name.slice(0, Math.max(0, slash)) }, { text: name.slice(slash + 1) }, { text: countText(history.latest?.commands[name] ?? 0), number }, { text: countText(all), number }];
  });
}

function faults(status: DaemonStatus): Node[] {
  const kinds = Object.entries(status.device.guestFaults).filter(([, count]) => count > 0);
  if (kinds.length === 0 && status.recentEvents.length === 0) return [h('p', { class: 'empty' }, 'None.')];
  return [
    h('p', { class: 'figures' }, kinds.length === 0 ? 'No guest faults.' : kinds.map(([kind, count]) => `${kind} ${countText(count)}`).join(' · ')),
    table([{ text: 'At' }, { text: 'What' }, { text: 'Detail' }], status.recentEvents.map(({ atMs, kind, detail }) => [{ text: clock(atMs) }, { text: kind }, { text: detail, class: 'statement', title: detail }]), 'No events.'),
  ];
}

const clock = (ms: number): string => new Date(ms).toLocaleTimeString('en-GB');
