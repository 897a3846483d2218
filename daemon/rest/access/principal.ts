import { MillraceError } from '../../../pushdown/types/error.js';

/** Who asks, and what that one may do. */
export interface Principal {
  readonly name: string;
  readonly tenant: string;
  /** Names in lower case; undefined: every dataset. */
  readonly datasets: ReadonlySet<string> | undefined;
  /** May load and remove datasets (those of its list). */
  readonly mayWrite: boolean;
  /** Sees and cancels everybody's queries, and the daemon's counters. */
  readonly operator: boolean;
  readonly requestsPerMinute: number | undefined;
}

/** Whoever comes over loopback to a daemon without tokens. */
export const localPrincipal: Principal = { name: 'local', tenant: 'local', datasets: undefined, mayWrite: true, operator: true, requestsPerMinute: undefined };
/** Who sends the daemon's own --token. */
export const operatorPrincipal: Principal = { ...localPrincipal, name: 'operator', tenant: 'operator' };
/** The daemon's query workers: they read names and layouts of everything, and answer what the query's sender may see. */
export const workerPrincipal: Principal = { ...localPrincipal, name: 'query-worker', tenant: 'daemon', mayWrite: false };

export const mayRead = (who: Principal, dataset: string): boolean => who.datasets?.has(dataset.toLowerCase()) ?? true;

/** A dataset that may not be read is not there: its name is no one's business either. */
export function checkRead(who: Principal, dataset: string): void {
  if (!mayRead(who, dataset)) throw new MillraceError('MR_DATASET_NOT_FOUND', `There is no dataset '${dataset}'.`, { field: 'name', httpStatus: 404 });
}

export function checkWriter(who: Principal): void {
  if (!who.mayWrite) throw new MillraceError('MR_FORBIDDEN', `Token '${who.name}' may not change datasets: make one with --write.`, { httpStatus: 403 });
}

export function checkWrite(who: Principal, dataset: string): void {
  checkWriter(who);
  if (!mayRead(who, dataset)) throw new MillraceError('MR_FORBIDDEN', `Token '${who.name}' has no right to a dataset of this name.`, { field: 'name', httpStatus: 403 });
}

export function checkOperator(who: Principal): void {
  if (!who.operator) throw new MillraceError('MR_FORBIDDEN', "This needs the daemon's own token.", { httpStatus: 403 });
}
