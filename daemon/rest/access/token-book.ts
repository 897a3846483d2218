import { statSync } from 'node:fs';
import { timingSafeEqual } from 'node:crypto';
import { hashOfToken, readTokenFile, type TokenEntry } from './token-file.js';
import { operatorPrincipal, type Principal, workerPrincipal } from './principal.js';

/** Longest token looked at. */
const tokenLengthMax = 512;
/** How long a changed file may go unnoticed: a removed token works this long at most. */
const lookAgainMs = 250;

export interface TokenBookOptions {
  readonly path: string;
  /** The daemon's own --token. */
  readonly operatorToken?: string | undefined;
  /** What the daemon gives its query workers; new at every start. */
  readonly workerToken: string;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
  /** Called with whether anyone was given a token, whenever that was read. */
  readonly onRead?: (hasTokens: boolean) => void;
}

/** Bearer tokens to principals. Follows the token file: `millrace token add` needs no restart. */
export class TokenBook {
  readonly #options: TokenBookOptions;
  readonly #fixed: readonly (readonly [hash: Buffer, principal: Principal])[];
  #byHash = new Map<string, Principal>();
  #stamp = '';
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** @throws MillraceError MR_TOKEN_FILE */
  constructor(options: TokenBookOptions) {
    this.#options = options;
    this.#fixed = [
      ...(options.operatorToken === undefined ? [] : [[hashed(options.operatorToken), operatorPrincipal] as const]),
      [hashed(options.workerToken), workerPrincipal],
    ];
    this.#read();
  }

  /** Whether anyone was given a token: then everyone needs one. */
  get hasTokens(): boolean {
    this.#follow();
    return this.#options.operatorToken !== undefined || this.#byHash.size > 0;
  }

  find(token: string): Principal | undefined {
    if (token.length > tokenLengthMax) return undefined;
    this.#follow();
    const hash = hashed(token);
    // Only hashes are compared, so the time of a map look-up tells nothing of a token.
    return this.#fixed.find(([known]) => timingSafeEqual(known, hash))?.[1] ?? this.#byHash.get(hash.toString('hex'));
  }

  #follow(): void {
    const now = this.#options.now();
    if (now - this.#lookedMs < lookAgainMs) return;
    this.#lookedMs = now;
    try {
      if (stampOf(this.#options.path) !== this.#stamp) this.#read();
    } catch (error) {
      // What was good stays: a half-edited file locks nobody out and lets nobody in.
      this.#options.onError(error);
    }
  }

  #read(): void {
    this.#stamp = stampOf(this.#options.path);
    this.#byHash = new Map(readTokenFile(this.#options.path).map((entry) => [entry.sha256, principalOf(entry)]));
    this.#options.onRead?.(this.#options.operatorToken !== undefined || this.#byHash.size > 0);
  }
}

function principalOf(entry: TokenEntry): Principal {
  return {
    name: entry.name, tenant: entry.tenant, mayWrite: entry.write, operator: false, requestsPerMinute: entry.requestsPerMinute,
    datasets: entry.datasets && new Set(entry.datasets.map((name) => name.toLowerCase())),
  };
}

function stampOf(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat ? `${stat.ino}/${stat.mtimeNs}/${stat.size}` : '';
}

const hashed = (token: string): Buffer => Buffer.from(hashOfToken(token), 'hex');
