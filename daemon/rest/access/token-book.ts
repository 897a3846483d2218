import { timingSafeEqual } from 'node:crypto';
import { FollowedFile, type FollowedFileOptions } from '../../followed-file.js';
import { hashOfToken, readTokenFile, type TokenEntry } from './token-file.js';
import { operatorPrincipal, type Principal, workerPrincipal } from './principal.js';

/** Longest token looked at. */
const tokenLengthMax = 512;

export interface TokenBookOptions extends FollowedFileOptions {
  /** The daemon's own --token. */
  readonly operatorToken?: string | undefined;
  /** What the daemon gives its query workers; new at every start. */
  readonly workerToken: string;
  /** Called with whether anyone was given a token, whenever that was read. */
  readonly onRead?: (hasTokens: boolean) => void;
}

/** Bearer tokens to principals. Follows the token file: `millrace token add` needs no restart. */
export class TokenBook {
  readonly #options: TokenBookOptions;
  readonly #fixed: readonly (readonly [hash: Buffer, principal: Principal])[];
  #byHash = new Map<string, Principal>();
  readonly #file: FollowedFile;

  /** @throws MillraceError MR_TOKEN_FILE */
  constructor(options: TokenBookOptions) {
    this.#options = options;
    this.#fixed = [
      ...(options.operatorToken === undefined ? [] : [[hashed(options.operatorToken), operatorPrincipal] as const]),
      [hashed(options.workerToken), workerPrincipal],
    ];
    this.#file = new FollowedFile(options, () => this.#read());
  }

  /** Whether anyone was given a token: then everyone needs one. */
  get hasTokens(): boolean {
    this.#file.look();
    return this.#options.operatorToken !== undefined || this.#byHash.size > 0;
  }

  find(token: string): Principal | undefined {
    if (token.length > tokenLengthMax) return undefined;
    this.#file.look();
    const hash = hashed(token);
    // Only hashes are compared, so the time of a map look-up tells nothing of a token.
    return this.#fixed.find(([known]) => timingSafeEqual(known, hash))?.[1] ?? this.#byHash.get(hash.toString('hex'));
  }

  /** Whose token is called so; a token's name proves nothing. */
  named(name: string): Principal | undefined {
    this.#file.look();
    return [...this.#byHash.values()].find((principal) => principal.name === name);
  }

  #read(): void {
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

const hashed = (token: string): Buffer => Buffer.from(hashOfToken(token), 'hex');
