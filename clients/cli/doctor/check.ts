/** ok: all there; degraded: Millrace runs, and `cost` says what that costs; broken: it does not run. */
export type CheckState = 'ok' | 'degraded' | 'broken';

export interface Check {
  readonly name: string;
  readonly state: CheckState;
  /** What was found. */
  readonly found: string;
  /** What its absence costs and what to do; only where something is missing. */
  readonly cost?: string;
}

export const ok = (name: string, found: string): Check => ({ name, state: 'ok', found });
export const degraded = (name: string, found: string, cost: string): Check => ({ name, state: 'degraded', found, cost });
export const broken = (name: string, found: string, cost: string): Check => ({ name, state: 'broken', found, cost });
