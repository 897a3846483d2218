import { type Completed, type CompletedOption, namesOf, words } from './tree.js';

const quoted = (text: string) => `'${text.replaceAll(/['\\]/g, '\\$&')}'`;

export function fish(commands: readonly Completed[]): string {
  return `# fish completion of millrace: millrace completion fish | source
function __millrace_datasets
  ${namesOf('datasets')}
end
function __millrace_kernels
  ${namesOf('kernels')}
end
# The words before this one that are no options.
function __millrace_words
  set -l words (commandline -opc)
  set -e words[1]
  string match -v -- '-*' $words
end
function __millrace_next
  set -l typed (__millrace_words)
  test "$typed" = "$argv"
end
function __millrace_in
  set -l typed (__millrace_words)
  string match -q -r -- "^$argv( |\\$)" "$typed"
end
complete -c millrace -f
${level(commands, '').join('\n')}
`;
}

function level(commands: readonly Completed[], above: string): string[] {
  return commands.flatMap((c) => [`complete -c millrace -n ${quoted(`__millrace_next ${above}`.trim())} -a ${c.name} -d ${quoted(c.about)}`, ...(c.children.length > 0 ? level(c.children, `${c.path} `) : leaf(c))]);
}

function leaf(c: Completed): string[] {
  const there = `complete -c millrace -n ${quoted(`__millrace_in ${c.path}`)}`;
  const values = ({ choices, long, files }: CompletedOption) => (choices.length > 0 ? ` -f -a ${quoted(words(choices))}` : c.path === 'kernel run' && long === '--kernel' ? " -F -a '(__millrace_kernels)'" : files ? ' -F' : '');
  return [
    ...c.options.map((o) => `${there} -l ${o.long.slice(2)}${o.short ? ` -s ${o.short.slice(1)}` : ''}${o.value ? ` -r${values(o)}` : ''} -d ${quoted(o.about)}`),
    ...(c.choices.length > 0 ? [`${there} -a ${quoted(words(c.choices))}`] : []),
    ...c.arguments.map((kind) => (kind === 'files' ? `${there} -F` : `${there} -a '(__millrace_${kind})'`)),
  ];
}
