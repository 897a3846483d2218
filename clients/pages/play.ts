// The page /play: a statement, where it ran, and the same statement with this browser as its host.
import type { DatasetInfo } from '../../pushdown/types/dataset-info.js';
import { MillraceError } from '../../pushdown/types/error.js';
import { quoteName } from '../../pushdown/plan/sql-expr.js';
import type { ExplainRow } from '../node/scan/explain.js';
import type { Pushdown } from '../node/scan/options.js';
import { Api } from './api.js';
import type { BrowserRuns } from './browser-host.js';
import { byId, h, table } from './dom.js';
import { examplesFor } from './examples.js';
import { bytesText, countOf, countText, millisText } from './format.js';
import { planTree } from './plan-tree.js';
import { runSql, type SqlSummary } from './sql-answer.js';
import { askForToken } from './token-form.js';

/** Rows a result table shows. */
const rowsShownMax = 200;

const api = new Api();
const sql = byId('sql', HTMLTextAreaElement);
const message = byId('message', HTMLElement);
const progress = byId('progress', HTMLElement);
const cancel = byId('cancel', HTMLButtonElement);
const actions = { run: byId('run', HTMLButtonElement), explain: byId('explain', HTMLButtonElement), browser: byId('browser', HTMLButtonElement) };
let running: AbortController | undefined;

actions.run.onclick = () => void act(run);
actions.explain.onclick = () => void act(explain);
actions.browser.onclick = () => void act(inBrowser);
cancel.onclick = () => running?.abort();
sql.onkeydown = (event) => {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  void act(run);
};
await loadDatasets();

async function run(signal: AbortSignal): Promise<void> {
  const { rows, summary } = await runSql(api, sql.value, pushdown(), rowsShownMax, signal);
  const names = summary.columns.map(({ name }) => name);
  showRows(names, rows, (name) => isNumber(summary, name));
  byId('result-figures', HTMLElement).textContent = [
    rows.length < summary.rows ? `first ${countText(rows.length)} of ${countOf(summary.rows, 'row')}` : countOf(summary.rows, 'row'),
    millisText(summary.ms), `${bytesText(summary.linkBytes)} over the link`,
    `${countOf(summary.morselsDevice, 'row group')} on the device, ${countText(summary.morselsHost)} on the host, ${countText(summary.morselsPruned)} left out`,
  ].join(' · ');
  showPlan(summary.plan);
}

async function explain(signal: AbortSignal): Promise<void> {
  const { plan } = await api.json<{ plan: ExplainRow[] }>('/v1/explain', { method: 'POST', json: { sql: sql.value, pushdown: pushdown() }, signal });
  showPlan(plan);
}

async function inBrowser(signal: AbortSignal): Promise<void> {
  // Compiler, kernels' runtime and merge: fetched by those who want them.
  const { runInBrowser } = await import('./browser-host.js');
  const runs = await runInBrowser(api, sql.value, rowsShownMax, signal, (text) => { progress.textContent = `${text}…`; });
  byId('browser-output', HTMLElement).replaceChildren(...browserOutput(runs));
  byId('browser-part', HTMLElement).hidden = false;
  const total = runs.runs[0]?.rows ?? 0;
  showRows(runs.columns, runs.rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]))), (name) => runs.rows.some((row) => typeof row[name] === 'bigint' || typeof row[name] === 'number'));
  byId('result-figures', HTMLElement).textContent = `${runs.rows.length < total ? `first ${countText(runs.rows.length)} of ` : ''}${countOf(total, 'row')}, merged in this browser`;
}

function browserOutput({ runs, equal, hostSql }: BrowserRuns): HTMLElement[] {
  const titles = { always: 'Device', never: 'This browser', auto: 'Auto' } as const;
  const short = (digest: string | undefined) => ({ text: digest ? `${digest.slice(0, 16)}…` : 'none', class: 'digest', title: digest ?? 'the device ran no kernel' });
  return [
    h('p', { class: equal ? 'verdict good' : 'verdict bad', id: 'verdict' }, equal ? 'Equal: the same kernel bytes gave the same rows, bit by bit, in all places.' : 'Not equal: the places disagree.'),
    table(
      [{ text: 'Kernels ran on' }, { text: 'Result SHA-256' }, { text: 'Kernel SHA-256' }, { text: 'On the device' }, { text: 'Row groups device / browser', number: true }, { text: 'Over the link', number: true }, { text: 'Time', number: true }],
      runs.map((each) => [
        { text: titles[each.pushdown] }, short(each.resultDigest), short(each.kernelDigest), short(each.deviceKernelDigest),
        { text: `${countText(each.stats.morselsDevice)} / ${countText(each.stats.morselsHost)}`, number: true }, { text: bytesText(each.stats.linkBytes), number: true }, { text: millisText(each.stats.ms), number: true },
      ]),
      'Nothing ran.',
    ),
    ...(hostSql === undefined ? [] : [h('p', { class: 'note' }, 'These are the rows of the pushed part. A host with a SQL engine would finish with:'), h('pre', {}, hostSql)]),
  ];
}

/** One thing at a time: the buttons wait, Cancel ends it, errors are shown and point into the statement. */
async function act(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  if (running || sql.value.trim() === '') return;
  running = new AbortController();
  for (const button of Object.values(actions)) button.disabled = true;
  cancel.hidden = false;
  message.hidden = true;
  progress.textContent = 'running…';
  progress.hidden = false;
  for (const part of ['result-part', 'plan-part', 'browser-part']) byId(part, HTMLElement).hidden = true;
  try {
    await work(running.signal);
  } catch (error) {
    showError(error, () => void act(work));
  } finally {
    running = undefined;
    for (const button of Object.values(actions)) button.disabled = false;
    cancel.hidden = progress.hidden = true;
  }
}

function showError(error: unknown, retry: () => void): void {
  if (askForToken(api, error, retry)) return;
  const known = error instanceof MillraceError ? error : new MillraceError('MR_INTERNAL', error instanceof Error ? error.message : String(error));
  const { position } = known.at;
  message.replaceChildren(h('code', {}, known.code), ` ${known.message}${position === undefined ? '' : ` (at character ${position + 1})`}`);
  message.hidden = false;
  if (position !== undefined && position <= sql.value.length) {
    sql.focus();
    sql.setSelectionRange(position, Math.max(position, position + (/^\S+/.exec(sql.value.slice(position))?.[0].length ?? 0)));
  }
}

function showRows(names: readonly string[], rows: readonly Readonly<Record<string, unknown>>[], numeric: (name: string) => boolean): void {
  const number = new Map(names.map((name) => [name, numeric(name)]));
  byId('result', HTMLElement).replaceChildren(
    table(
      names.map((name) => ({ text: name, number: number.get(name) ?? false })),
      rows.map((row) => names.map((name) => (row[name] === null ? { text: 'NULL', class: 'null', number: number.get(name) ?? false } : { text: String(row[name]), number: number.get(name) ?? false }))),
      'No rows.',
    ),
  );
  byId('result-part', HTMLElement).hidden = false;
}

function showPlan(plan: readonly ExplainRow[]): void {
  byId('plan', HTMLElement).replaceChildren(planTree(plan));
  byId('plan-part', HTMLElement).hidden = false;
}

async function loadDatasets(): Promise<void> {
  try {
    const { datasets } = await api.json<{ datasets: DatasetInfo[] }>('/v1/datasets');
    const examples = examplesFor(datasets);
    byId('examples', HTMLElement).replaceChildren(...examples.map(({ title, sql: text }) => chip(title, text)));
    if (sql.value === '') sql.value = examples[1]?.sql ?? examples[0]?.sql ?? '';
    byId('datasets', HTMLElement).replaceChildren(...(datasets.length === 0 ? [h('p', { class: 'empty' }, 'None yet: ', h('code', {}, 'millrace put FILE --name NAME'), ' loads one.')] : datasets.map(datasetCard)));
  } catch (error) {
    showError(error, () => void loadDatasets());
  }
}

function chip(title: string, text: string): HTMLElement {
  const button = h('button', { type: 'button', class: 'chip', title: text }, title);
  button.onclick = () => {
    sql.value = text;
    sql.focus();
  };
  return button;
}

function datasetCard(dataset: DatasetInfo): HTMLElement {
  const columns = dataset.columns.map(({ name, type, nullable }) => h('li', {}, h('code', {}, name), ` ${type.kind === 'decimal' ? `decimal(${type.precision},${type.scale})` : type.kind}${nullable ? '' : ' not null'}`));
  return h(
    'details', { class: 'dataset' },
    h('summary', {}, h('strong', {}, dataset.name), h('span', { class: 'figures' }, ` ${countOf(dataset.rows, 'row')} · ${countOf(dataset.rowGroups, 'row group')} · ${bytesText(dataset.storedBytes)}`)),
    h('ul', { class: 'column-list' }, ...columns), chip('Look at it', `SELECT *\nFROM ${quoteName(dataset.name)}\nLIMIT 20`),
  );
}

function pushdown(): Pushdown {
  return (document.querySelector<HTMLInputElement>('input[name=pushdown]:checked')?.value ?? 'auto') as Pushdown;
}

function isNumber(summary: SqlSummary, name: string): boolean {
  return /^(u?int\d+|float\d+|decimal)$/.test(summary.columns.find((column) => column.name === name)?.type.kind ?? '');
}
