import type { Command, Option } from 'commander';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** A completion script made of the declared commands, so it cannot fall behind them. Dataset names are asked of the daemon. */
export function completionScript(shell: Shell, program: Command): string {
  const commands = program.commands.map((c): Completed => ({ name: c.name(), about: c.description(), datasets: takesDatasets(c), files: takesFiles(c), options: c.options.filter((o) => o.long).map(completedOption) }));
  switch (shell) {
    case 'bash': return bash(commands);
    case 'zsh': return zsh(commands);
    case 'fish': return fish(commands);
    default: return shell satisfies never;
  }
}

interface CompletedOption { readonly long: string; readonly short: string | undefined; readonly about: string; readonly value: boolean; readonly choices: readonly string[] }
interface Completed { readonly name: string; readonly about: string; readonly datasets: boolean; readonly files: boolean; readonly options: readonly CompletedOption[] }

const completedOption = (o: Option): CompletedOption => ({ long: o.long ?? '', short: o.short, about: o.description, value: o.required || o.optional, choices: o.argChoices ?? [] });
const takesDatasets = (c: Command) => ['describe', 'verify', 'rm', 'export'].includes(c.name());
const takesFiles = (c: Command) => ['put', 'export'].includes(c.name());

/** Prints one dataset name per line; silent and quick when no daemon answers. */
const names = `millrace ls -o json 2>/dev/null | sed -n 's/^{"name":"\\([^"\\\\]*\\)".*/\\1/p'`;

const words = (list: readonly string[]) => list.join(' ');

function bash(commands: readonly Completed[]): string {
  const options = commands.map((c) => `    ${c.name}) options="${words([...c.options.map((o) => o.long), '--help'])}" ;;`);
  const values = commands.flatMap((c) => c.options.filter((o) => o.choices.length > 0).map((o) => `    ${[o.long, o.short].filter(Boolean).map((n) => `'${c.name} ${n}'`).join('|')}) COMPREPLY=($(compgen -W "${words(o.choices)}" -- "$word")); return ;;`));
  const arguments_ = commands.filter((c) => c.datasets || c.files).map((c) => `    ${c.name}) COMPREPLY=($(compgen ${c.files ? '-f ' : ''}${c.datasets ? `-W "$(${names})" ` : ''}-- "$word")) ;;`);
  return `# bash completion of millrace: eval "$(millrace completion bash)"
_millrace() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]} options=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${words([...commands.map((c) => c.name), '--help', '--version'])}" -- "$word"))
    return
  fi
  case "$command $before" in
${values.join('\n')}
  esac
  case "$command" in
${options.join('\n')}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")); return ;;
  esac
  case "$command" in
${arguments_.join('\n')}
  esac
}
complete -o default -F _millrace millrace
`;
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const zshText = (text: string) => text.replaceAll(/[[\]:\\]/g, '\\$&');

function zsh(commands: readonly Completed[]): string {
  const listed = commands.map((c) => `    ${quoted(`${c.name}:${zshText(c.about)}`)}`);
  const cases = commands.map((c) => {
    const specs = c.options.flatMap((o) => [o.long, o.short].filter((n) => n !== undefined).map((n) => quoted(`${n}[${zshText(o.about)}]${o.value ? `:value:${o.choices.length > 0 ? `(${words(o.choices)})` : '_files'}` : ''}`)));
    const rest = c.datasets && c.files ? "'1:dataset:_millrace_datasets' '2:file:_files'" : c.datasets ? "'*:dataset:_millrace_datasets'" : c.files ? "'*:file:_files'" : '';
    return `    ${c.name}) _arguments ${[...specs, rest].filter(Boolean).join(' ')} ;;`;
  });
  return `#compdef millrace
# zsh completion of millrace: source <(millrace completion zsh)
_millrace_datasets() {
  local -a found
  found=(\${(f)"$(${names})"})
  compadd -a found
}
_millrace() {
  local -a commands
  commands=(
${listed.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
compdef _millrace millrace
`;
}

function fish(commands: readonly Completed[]): string {
  const on = (name: string) => `-n '__fish_seen_subcommand_from ${name}'`;
  const lines = commands.flatMap((c) => [
    `complete -c millrace -f -n __fish_use_subcommand -a ${c.name} -d ${quoted(c.about)}`,
    ...c.options.map((o) => `complete -c millrace ${on(c.name)} -l ${o.long.slice(2)}${o.short ? ` -s ${o.short.slice(1)}` : ''}${o.value ? ' -r' : ''}${o.choices.length > 0 ? ` -f -a ${quoted(words(o.choices))}` : ''} -d ${quoted(o.about)}`),
    ...(c.datasets ? [`complete -c millrace ${c.files ? '' : '-f '}${on(c.name)} -a '(__millrace_datasets)'`] : []),
    ...(c.files ? [`complete -c millrace -F ${on(c.name)}`] : []),
  ]);
  return `# fish completion of millrace: millrace completion fish | source
function __millrace_datasets
  ${names}
end
${lines.join('\n')}
`;
}
