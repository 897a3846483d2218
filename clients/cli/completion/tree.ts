import type { Command, Option } from 'commander';

export interface CompletedOption {
  readonly long: string;
  readonly short: string | undefined;
  readonly about: string;
  readonly value: boolean;
  /** The value is a path. */
  readonly files: boolean;
  readonly choices: readonly string[];
}

/** What stands for an argument: names the daemon has, files of this machine, or words that are given. */
export type ArgumentKind = 'datasets' | 'kernels' | 'files';

/** A command that does something, or a group of such. */
export interface Completed {
  /** As it is typed: `ls`, `kernel ls`. */
  readonly path: string;
  readonly name: string;
  readonly about: string;
  readonly options: readonly CompletedOption[];
  readonly arguments: readonly ArgumentKind[];
  readonly choices: readonly string[];
  /** Of a group. */
  readonly children: readonly Completed[];
}

const argumentsOf: Readonly<Record<string, readonly ArgumentKind[]>> = {
  describe: ['datasets'], verify: ['datasets'], rm: ['datasets'], export: ['datasets', 'files'], put: ['files'],
  'kernel run': ['datasets'], 'kernel ls': ['kernels'], 'kernel rm': ['kernels'], 'kernel push': ['files'], 'kernel build': ['files'], 'kernel test': ['files'],
};

/** The declared commands, so that scripts cannot fall behind them. */
export function commandTree(program: Command, above = ''): Completed[] {
  return program.commands.map((command) => {
    const path = `${above}${command.name()}`;
    return {
      path, name: command.name(), about: command.description(), options: command.options.filter((o) => o.long).map(optionOf), arguments: argumentsOf[path] ?? [],
      choices: command.registeredArguments.flatMap((argument) => argument.argChoices ?? []), children: commandTree(command, `${path} `),
    };
  });
}

const optionOf = (o: Option): CompletedOption => ({ long: o.long ?? '', short: o.short, about: o.description, value: o.required || o.optional, files: /[<|](dir|file|project|socket)[|>]/.test(o.flags), choices: o.argChoices ?? [] });

/** Those that do something, of all depths. */
export const leavesOf = (commands: readonly Completed[]): Completed[] => commands.flatMap((command) => (command.children.length > 0 ? leavesOf(command.children) : [command]));
export const groupsOf = (commands: readonly Completed[]): Completed[] => commands.filter(({ children }) => children.length > 0);

const listing = { datasets: 'millrace ls', kernels: 'millrace kernel ls' } as const;
/** Shell text that prints one name per line; silent and quick when no daemon answers. */
export const namesOf = (kind: keyof typeof listing): string => `${listing[kind]} -o json 2>/dev/null | sed -n 's/^{"name":"\\([^"\\\\]*\\)".*/\\1/p'`;

export const words = (list: readonly string[]): string => list.join(' ');
