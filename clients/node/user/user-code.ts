import { kernelFault } from '../../../pushdown/runtime/fault-error.js';
import { KernelFault } from '../../../pushdown/runtime/kernel-fault.js';
import { compileEngine } from '../../../pushdown/user/engine.js';
import { readUserModule, type UserModule } from '../../../pushdown/user/read-module.js';
import { MillraceError } from '../../../pushdown/types/error.js';

/** A kernel stored at the daemon, as REST describes it. */
export interface KernelInfo {
  readonly name: string;
  /** SHA-256 of the module, hex. */
  readonly digest: string;
  readonly bytes: number;
  /** The token's name; `local` without tokens. */
  readonly pushedBy: string;
  readonly pushedAtMs: number;
}

export interface LoadedModule {
  readonly name: string;
  readonly digest: string;
  readonly module: UserModule;
}

/** Where plans find the modules they name. */
export interface UserCode {
  /** @throws MillraceError MR_KERNEL_NOT_FOUND, MR_KERNEL_MODULE_REJECTED */
  find(name: string): Promise<LoadedModule>;
  /** Whoever the plan is for may run it. @throws MillraceError MR_KERNEL_NOT_ALLOWED */
  check(found: LoadedModule): void;
}

/** The daemon's REST face, as far as looking up kernels needs it. */
interface KernelSource {
  json<T>(path: string): Promise<T>;
  bytes(path: string): Promise<Uint8Array>;
}

/** Modules kept, the least recently used dropped first. */
const modulesMax = 64;

/**
 * Kernels by name: those a client was given, then those stored at the daemon. Names are looked up anew each time, since somebody may have
 * replaced one; modules are fetched once per digest.
 */
export class UserCodeLibrary implements UserCode {
  readonly #rest: KernelSource;
  readonly #digest: (bytes: Uint8Array) => string;
  readonly #allowed: (() => ReadonlySet<string> | undefined) | undefined;
  readonly #own = new Map<string, LoadedModule>();
  readonly #modules = new Map<string, Promise<UserModule>>();

  /** digest: SHA-256 in hex. allowed: digests of the only modules that may run, here or there; absent: any. */
  constructor(rest: KernelSource, digest: (bytes: Uint8Array) => string, allowed?: () => ReadonlySet<string> | undefined) {
    this.#rest = rest;
    this.#digest = digest;
    this.#allowed = allowed;
  }

  check({ name, digest }: LoadedModule): void {
    if (this.#allowed?.()?.has(digest) === false) throw new MillraceError('MR_KERNEL_NOT_ALLOWED', `The tenant may not run the kernel ${name}: have its digest ${digest} added to its list.`, { field: name, httpStatus: 403 });
  }

  /** A module this client uses under a name, whatever is stored. Throws MR_KERNEL_MODULE_REJECTED. */
  use(name: string, wasm: Uint8Array): LoadedModule {
    const loaded = { name, digest: this.#digest(wasm), module: takeApart(name, wasm) };
    this.#own.set(name.toLowerCase(), loaded);
    return loaded;
  }

  /** Names of all kernels that can be found now. */
  async names(): Promise<string[]> {
    const { kernels } = await this.#rest.json<{ kernels: KernelInfo[] }>('/v1/kernels');
    return [...this.#own.values(), ...kernels].map((k) => k.name);
  }

  async find(name: string): Promise<LoadedModule> {
    const own = this.#own.get(name.toLowerCase());
    if (own) return own;
    const path = `/v1/kernels/${encodeURIComponent(name)}`;
    for (let attempt = 0; attempt < 3; attempt++) {
      const { digest } = await this.#rest.json<KernelInfo>(path);
      try {
        return { name, digest, module: await this.#module(name, digest) };
      } catch (error) {
        if (!(error instanceof MillraceError) || error.code !== 'MR_KERNEL_CHANGED') throw error;
      }
    }
    throw changed(name);
  }

  #module(name: string, digest: string): Promise<UserModule> {
    let module = this.#modules.get(digest);
    if (module) this.#modules.delete(digest);
    else {
      module = this.#fetch(name, digest);
      module.catch(() => this.#modules.delete(digest));
    }
    this.#modules.set(digest, module);
    for (const oldest of this.#modules.keys()) {
      if (this.#modules.size <= modulesMax) break;
      this.#modules.delete(oldest);
    }
    return module;
  }

  async #fetch(name: string, digest: string): Promise<UserModule> {
    const wasm = await this.#rest.bytes(`/v1/kernels/${encodeURIComponent(name)}/module`);
    // Replaced between the two answers.
    if (this.#digest(wasm) !== digest) throw changed(name);
    return takeApart(name, wasm);
  }
}

function takeApart(name: string, wasm: Uint8Array): UserModule {
  try {
    const module = readUserModule(wasm);
    compileEngine(new Uint8Array(wasm));
    return module;
  } catch (error) {
    throw error instanceof KernelFault ? kernelFault(error.fault, `The kernel ${name} cannot be used: ${error.message}.`, error) : error;
  }
}

const changed = (name: string) => new MillraceError('MR_KERNEL_CHANGED', `The kernel ${name} is being replaced again and again: try later.`, { httpStatus: 409 });
