import type { Step } from './case.js';

export interface Answer {
  /** SCT << 8 | SC. */
  readonly status: number;
  readonly dw0: number;
  readonly data: Uint8Array;
}

/** What is held to the cases. */
export interface Target {
  readonly name: string;
  /** A fresh association; ends the one before. */
  reset(): Promise<void>;
  run(step: Step): Promise<Answer>;
  close(): Promise<void>;
}
