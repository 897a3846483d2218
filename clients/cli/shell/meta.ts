import { MillraceError } from '../../../pushdown/types/error.js';
import type { Client } from '../../node/client.js';
import { describeText } from '../commands/describe.js';
import { datasetTable } from '../commands/datasets.js';
import type { StatementSettings } from '../commands/sql.js';
import { printable } from '../output/table.js';
import { writeOut } from '../output/write.js';

export interface ShellState {
  settings: StatementSettings;
  ended: boolean;
}

const help = `\\d            datasets
\\d NAME       one dataset: columns, row groups, zone maps
\\e STATEMENT  explain a statement (without ; at the end)
\\o FORMAT     table, json or csv
\\p MODE       pushdown: auto, always or never
\\?            this
\\q            leave (so does Ctrl-D)
A statement ends with ; and may have several lines. Ctrl-C cancels the running statement, or drops the one being written.
`;

/** One line that begins with a backslash. @throws MillraceError MR_USAGE */
export async function runMeta(line: string, client: Client, state: ShellState): Promise<void> {
  const [command = '', ...words] = line.trim().replace(/;$/, '').split(/\s+/);
  const argument = words.join(' ');
  switch (command) {
    case '\\q': state.ended = true; return;
    case '\\?': case '\\h': return writeOut(help);
    case '\\d': return writeOut(argument ? describeText(await client.describe(argument)) : datasetTable(await client.datasets()));
    case '\\e': return writeOut(`${printable((await client.explainSql(argument, { pushdown: state.settings.pushdown })).text).replaceAll('↵', '\n')}\n`);
    case '\\o': state.settings = { ...state.settings, output: oneOf(argument, ['table', 'json', 'csv']) }; return;
    case '\\p': state.settings = { ...state.settings, pushdown: oneOf(argument, ['auto', 'always', 'never']) }; return;
    default: throw new MillraceError('MR_USAGE', `There is no ${printable(command)}: \\? lists what there is.`);
  }
}

function oneOf<const T extends string>(word: string, choices: readonly T[]): T {
  const found = choices.find((c) => c === word);
  if (!found) throw new MillraceError('MR_USAGE', `'${printable(word)}' is none of ${choices.join(', ')}.`);
  return found;
}
