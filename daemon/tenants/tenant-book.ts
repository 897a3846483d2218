import type { NativeDevice, TenantCaps } from '../../native/index.js';
import { FollowedFile, type FollowedFileOptions } from '../followed-file.js';
import type { Principal } from '../rest/access/principal.js';
import { readTenantFile, type TenantEntry } from './tenant-file.js';

/** Principals the audit trail can tell apart; the oldest number is given anew past it. */
const actorsMax = 100_000;
/** What the device calls its own tenant. */
export const localTenant = 'local';

export interface TenantBookOptions extends FollowedFileOptions {
  readonly device: Pick<NativeDevice, 'setTenant'>;
  /** What a tenant has that nothing is set for. */
  readonly defaults: TenantCaps;
}

/** What the device calls whoever asks. */
export interface Identity {
  readonly tenant: number;
  readonly actor: number;
  readonly caps: TenantCaps;
  readonly kernels: ReadonlySet<string> | undefined;
}

interface Known {
  readonly id: number;
  readonly caps: TenantCaps;
  readonly kernels: ReadonlySet<string> | undefined;
}

export interface TenantView {
  readonly name: string;
  readonly caps: TenantCaps;
  /** How many kernels its slots may run; absent: any. */
  readonly kernels?: number;
}

export interface Actor {
  readonly tenant: string;
  readonly token: string;
}

/** Tenants by name, as the device has them: number, caps, kernels. Follows tenants.json: a change needs no restart. */
export class TenantBook {
  readonly #options: TenantBookOptions;
  readonly #known = new Map<string, Known>();
  readonly #actors = new Map<string, number>();
  readonly #actorsByNumber = new Map<number, Actor>();
  #entries = new Map<string, TenantEntry>();
  readonly #file: FollowedFile;

  /** @throws MillraceError MR_TENANT_FILE */
  constructor(options: TenantBookOptions) {
    this.#options = options;
    this.#file = new FollowedFile(options, () => this.#read());
  }

  identify(who: Principal): Identity {
    this.#file.look();
    const actor = this.#actor({ tenant: who.tenant, token: who.name });
    // The operator, and whoever comes to a daemon without tokens, is the device's own tenant.
    if (who.operator) return { tenant: 0, actor, caps: this.#options.defaults, kernels: undefined };
    const known = this.#known.get(who.tenant) ?? this.#tell(who.tenant, this.#known.size + 1);
    return { tenant: known.id, actor, caps: known.caps, kernels: known.kernels };
  }

  /** The device's own tenant, then by name those something is set for and those that have asked for anything. */
  list(): TenantView[] {
    this.#file.look();
    const names = [...new Set([...this.#entries.keys(), ...this.#known.keys()])].sort();
    return [{ name: localTenant, caps: this.#options.defaults }, ...names.map((name) => {
      const { caps, kernels } = this.#settingsOf(name);
      return { name, caps, ...(kernels ? { kernels: kernels.length } : {}) };
    })];
  }

  /** Who an actor's number is. */
  actorOf(number: number): Actor | undefined {
    return this.#actorsByNumber.get(number);
  }

  #actor(actor: Actor): number {
    const key = `${actor.tenant}\n${actor.token}`;
    const known = this.#actors.get(key);
    if (known !== undefined) return known;
    const number = this.#actors.size < actorsMax ? this.#actors.size + 1 : this.#oldestActor();
    this.#actors.set(key, number);
    this.#actorsByNumber.set(number, actor);
    return number;
  }

  #oldestActor(): number {
    const [key, number] = this.#actors.entries().next().value!; // there are actorsMax
    this.#actors.delete(key);
    return number;
  }

  #tell(name: string, id: number): Known {
    const { caps, kernels } = this.#settingsOf(name);
    this.#options.device.setTenant({ id, name, caps, ...(kernels ? { kernels } : {}) });
    const known = { id, caps, kernels: kernels && new Set(kernels) };
    this.#known.set(name, known);
    return known;
  }

  #settingsOf(name: string): { readonly caps: TenantCaps; readonly kernels: readonly string[] | undefined } {
    const entry = this.#entries.get(name);
    const set = Object.fromEntries(Object.entries(entry?.caps ?? {}).filter(([, value]) => value !== undefined));
    const caps: TenantCaps = { ...this.#options.defaults, ...set };
    // A cap never gives more memory than a slot of this daemon has.
    return { caps: { ...caps, memoryBytes: Math.min(caps.memoryBytes, this.#options.defaults.memoryBytes) }, kernels: entry?.kernels };
  }

  #read(): void {
    this.#entries = new Map(readTenantFile(this.#options.path).map((entry) => [entry.name, entry]));
    for (const [name, { id }] of this.#known) this.#tell(name, id);
  }
}
