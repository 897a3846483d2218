import { type Interface, createInterface } from 'node:readline';
import type { Client } from '../../node/client.js';
import { exitCodeOf, exitCodes } from '../exit-code.js';
import { readerLeft } from '../output/write.js';
import { reportError } from '../report-error.js';
import { withClient } from '../settings.js';
import { historyEntriesMax, historyPath, readHistory, writeHistory } from '../shell/history.js';
import { runMeta, type ShellState } from '../shell/meta.js';
import { splitStatements } from '../shell/statements.js';
import { runStatement, type SqlSettings } from './sql.js';

/**
 * Statements from a terminal until \q or Ctrl-D, with a history; or from a pipe until its end, where the first error ends it.
 * Resolves with the exit code.
 */
export async function shell(settings: SqlSettings): Promise<number> {
  return withClient(settings, async (client) => (process.stdin.isTTY ? interactive(client, settings) : script(client, settings)));
}

async function interactive(client: Client, settings: SqlSettings): Promise<number> {
  const path = historyPath();
  const readline = createInterface({ input: process.stdin, output: process.stdout, history: await readHistory(path), historySize: historyEntriesMax, removeHistoryDuplicates: true, prompt: 'millrace> ' });
  process.stderr.write(`${client.url}. Statements end with ; and \\? helps.\n`);
  const session = new Session(client, { settings, ended: false }, readline);
  const end = new Promise<void>((resolve) => readline.once('close', resolve));
  readline.on('SIGINT', () => session.interrupt());
  readline.on('line', (line) => session.line(line));
  let history: string[] = [];
  readline.on('history', (lines: string[]) => { history = [...lines]; });
  readline.prompt();
  await end;
  session.end();
  await session.idle;
  if (history.length > 0) await writeHistory(path, history).catch((error: unknown) => process.stderr.write(`the history is not kept: ${(error as Error).message}\n`));
  return exitCodes.ok;
}

/** What has been typed and what runs. Lines that come while a statement runs wait their turn. */
class Session {
  idle: Promise<void> = Promise.resolve();
  #text = '';
  #running: AbortController | undefined;

  constructor(
    private readonly client: Client,
    private readonly state: ShellState,
    private readonly readline: Interface,
  ) {}

  line(line: string): void {
    this.idle = this.idle.then(() => this.#take(line));
  }

  /** Nothing more is read or prompted for. */
  end(): void {
    this.state.ended = true;
    this.#running?.abort();
  }

  /** Cancels what runs at both ends; with nothing running, drops what was typed. */
  interrupt(): void {
    if (this.#running) {
      this.#running.abort();
      return;
    }
    this.#text = '';
    process.stdout.write('\n');
    this.readline.write(null, { ctrl: true, name: 'e' });
    this.readline.write(null, { ctrl: true, name: 'u' });
    this.#prompt();
  }

  async #take(line: string): Promise<void> {
    if (this.state.ended) return;
    if (this.#text === '' && line.trimStart().startsWith('\\')) await this.#report(undefined, () => runMeta(line.trim(), this.client, this.state));
    else {
      const { statements, rest } = splitStatements(`${this.#text}${line}\n`);
      this.#text = rest;
      for (const statement of statements) {
        const controller = new AbortController();
        this.#running = controller;
        await this.#report(statement, () => runStatement(this.client, statement, this.state.settings, controller.signal));
        this.#running = undefined;
        // After Ctrl-C what was typed behind it is not meant any more.
        if (controller.signal.aborted) break;
      }
    }
    // A prompt after the close would open the terminal again.
    if (this.state.ended) this.readline.close();
    else this.#prompt();
  }

  async #report(statement: string | undefined, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      process.stderr.write(reportError(error, statement));
    }
  }

  #prompt(): void {
    this.readline.setPrompt(this.#text ? '     ...> ' : 'millrace> ');
    this.readline.prompt();
  }
}

/** A pipe of statements: NDJSON out, and the first error ends it. */
async function script(client: Client, settings: SqlSettings): Promise<number> {
  const state: ShellState = { settings, ended: false };
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
  let text = '';
  let statement: string | undefined;
  try {
    for await (const line of createInterface({ input: process.stdin })) {
      if (text === '' && line.trimStart().startsWith('\\')) {
        statement = undefined;
        await runMeta(line.trim(), client, state);
        if (state.ended) return exitCodes.ok;
        continue;
      }
      const { statements, rest } = splitStatements(`${text}${line}\n`);
      text = rest;
      for (statement of statements) await runStatement(client, statement, state.settings, abort.signal);
    }
    statement = text;
    if (text !== '') await runStatement(client, text, state.settings, abort.signal);
    return exitCodes.ok;
  } catch (error) {
    if (readerLeft(error)) return exitCodes.ok;
    process.stderr.write(reportError(error, statement));
    return abort.signal.aborted ? exitCodes.cancelled : exitCodeOf(error);
  }
}
