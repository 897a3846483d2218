import { type Completed, type CompletedOption, namesOf, words } from './tree.js';

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const plain = (text: string) => text.replaceAll(/[[\]:\\]/g, '\\$&');

export function zsh(commands: readonly Completed[]): string {
  return `#compdef millrace
# zsh completion of millrace: source <(millrace completion zsh)
_millrace_datasets() {
  local -a found
  found=(\${(f)"$(${namesOf('datasets')})"})
  compadd -a found
}
_millrace_kernels() {
  local -a found
  found=(\${(f)"$(${namesOf('kernels')})"})
  compadd -a found
}
_millrace() {
  local -a commands
${level(commands, '  ')}
}
compdef _millrace millrace
`;
}

/** Completes the next word as a command of these, or what follows it. */
function level(commands: readonly Completed[], indent: string): string {
  return [
    `commands=(`,
    ...commands.map((c) => `  ${quoted(`${c.name}:${plain(c.about)}`)}`),
    ')',
    'if (( CURRENT == 2 )); then',
    '  _describe command commands',
    '  return',
    'fi',
    'shift words',
    '(( CURRENT-- ))',
    'case $words[1] in',
    ...commands.map((c) => (c.children.length > 0 ? `  ${c.name})\n${level(c.children, `${indent}    `)}\n${indent}  ;;` : `  ${c.name}) _arguments ${[...c.options.flatMap((o) => optionSpecs(o, c)), ...argumentSpecs(c)].join(' ')} ;;`)),
    'esac',
  ].map((line) => `${indent}${line}`).join('\n');
}

function optionSpecs({ long, short, about, value, choices, files }: CompletedOption, { path }: Completed): string[] {
  const what = choices.length > 0 ? `(${words(choices)})` : path === 'kernel run' && long === '--kernel' ? '_millrace_kernels' : files ? '_files' : ' ';
  return [long, short].filter((name) => name !== undefined).map((name) => quoted(`${name}[${plain(about)}]${value ? `:value:${what}` : ''}`));
}

function argumentSpecs({ arguments: kinds, choices }: Completed): string[] {
  if (choices.length > 0) return [quoted(`1:choice:(${words(choices)})`)];
  const actions = kinds.map((kind) => (kind === 'files' ? 'file:_files' : `${kind.replace(/s$/, '')}:_millrace_${kind}`));
  return actions.length > 1 ? actions.map((action, i) => quoted(`${i + 1}:${action}`)) : actions.map((action) => quoted(`*:${action}`));
}
