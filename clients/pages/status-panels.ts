import type { KernelInfo } from '../node/user/user-code.js';
import { type Cell, h, table } from './dom.js';
import { bytesText, countText, millisText } from './format.js';
import type { RateHistory } from './rate-history.js';
import { meter } from './sparkline.js';
import type { DaemonStatus } from './status-view.js';

const number = true;

/** Who the device works for, what each has of it now and what bounds it. */
export function tenantsPanel({ tenants }: DaemonStatus): Node[] {
  const heading: readonly Cell[] = [{ text: 'Tenant' }, { text: 'Slots', number }, { text: 'Device memory', number }, { text: 'Kernel memory', number }, { text: 'Deadline', number }, { text: 'CPU', number }, { text: 'Result', number }, { text: 'Kernels' }];
  return [
    table(
      heading,
      tenants.map(({ name, slots, slmBytes, slmResidentBytes, caps, kernels }) => [
        { text: name }, { text: countText(slots), number }, { text: slmBytes > 0 ? `${bytesText(slmResidentBytes)} of ${bytesText(slmBytes)}` : 'none now', number },
        { text: bytesText(caps.memoryBytes), number }, { text: millisText(caps.deadlineMs), number }, { text: caps.cpuPercent >= 100 ? 'no cap' : `${caps.cpuPercent} %`, number }, { text: bytesText(caps.outputBytes), number },
        { text: kernels === undefined ? 'any' : `${countText(kernels)} allowed` },
      ]),
      'None.',
    ),
  ];
}

/** The key/value namespace. */
export function keysPanel({ device }: DaemonStatus, history: RateHistory): Node[] {
  if (!device.kv) return [h('p', { class: 'empty' }, 'The device has no key/value namespace.')];
  const { usedBytes, capacityBytes } = device.kv;
  const sums = (counts: Readonly<Record<string, number>>) => (verb: string) => Object.entries(counts).reduce((sum, [name, count]) => sum + (name.endsWith(`/Kv${verb}`) ? count : 0), 0);
  const all = sums(device.commands);
  const now = sums(history.latest?.commands ?? {});
  const verbs = ['Store', 'Retrieve', 'Delete', 'List', 'Exist', 'Flush'].filter((verb) => all(verb) > 0);
  return [
    meter('Used', capacityBytes > 0 ? usedBytes / capacityBytes : 0, `${bytesText(usedBytes)} of ${bytesText(capacityBytes)}`),
    h('p', { class: 'figures' }, verbs.length === 0 ? 'Nobody asked for a key yet.' : verbs.map((verb) => `${verb} ${countText(all(verb))}${now(verb) > 0 ? ` (${countText(now(verb))}/s)` : ''}`).join(' · ')),
  ];
}

/** Kernels stored by name, and those the device does not run any more. */
export function kernelsPanel({ device }: DaemonStatus, kernels: readonly KernelInfo[]): Node[] {
  const digest = (text: string): Cell => ({ text: `${text.slice(0, 16)}…`, class: 'digest', title: text });
  const refused = device.quarantinedKernels;
  return [
    table([{ text: 'Kernel' }, { text: 'Size', number }, { text: 'SHA-256' }, { text: 'By' }], kernels.map((kernel) => [{ text: kernel.name }, { text: bytesText(kernel.bytes), number }, digest(kernel.digest), { text: kernel.pushedBy }]), 'None stored.'),
    ...(refused.length === 0 ? [] : [
      h('p', { class: 'figures bad' }, `${countText(refused.length)} in quarantine: ${refused.length === 1 ? 'it' : 'they'} kept crashing slots, and the device does not run ${refused.length === 1 ? 'it' : 'them'} any more.`),
      h('ul', { class: 'digests' }, ...refused.map((text) => h('li', { class: 'digest' }, text))),
    ]),
  ];
}

/** What the device's profile models, apart from what was measured; nothing where it models nothing. */
export function modelPanel({ model, device }: DaemonStatus): Node[] {
  const { link, core, energy } = device.model ?? {};
  const facts = [
    `Profile ${model.profile}`,
    ...(link ? [`link ${link.bytesPerSecond > 0 ? `${bytesText(link.bytesPerSecond)}/s, ` : ''}${link.latencyMs} ms: ${bytesText(link.bytes)} in ${millisText(link.linkModelMs)}`] : []),
    ...(core ? [`cores ${core.factor} times slower: ${millisText(core.coreModelMs)} for ${millisText(core.cpuMs)} measured here`] : []),
    ...(energy ? [`${(energy.idleModelJ + energy.activeModelJ + energy.linkModelJ + energy.memoryModelJ).toPrecision(3)} J estimated in ${millisText(energy.seconds * 1000)}`] : []),
  ];
  return [h('p', { class: 'figures' }, device.model ? facts.join(' · ') : `Profile ${model.profile}: nothing is modelled, all figures are this machine's.`)];
}
