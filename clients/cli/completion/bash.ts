import { type Completed, groupsOf, leavesOf, namesOf, words } from './tree.js';

/** `kernel ls` as a pattern of bash's case. */
const pattern = (path: string) => path.replaceAll(' ', '\\ ');

export function bash(commands: readonly Completed[]): string {
  const leaves = leavesOf(commands);
  const groups = groupsOf(commands);
  const options = leaves.map((c) => `    ${pattern(c.path)}) options="${words([...c.options.map((o) => o.long), '--help'])}" ;;`);
  const values = leaves.flatMap((c) => c.options.filter((o) => o.choices.length > 0).map((o) => `    ${[o.long, o.short].filter(Boolean).map((n) => `'${c.path} ${n}'`).join('|')}) COMPREPLY=($(compgen -W "${words(o.choices)}" -- "$word")); return ;;`));
  const rest = leaves.filter((c) => c.arguments.length > 0 || c.choices.length > 0).map((c) => `    ${pattern(c.path)}) ${argumentOf(c)} ;;`);
  return `# bash completion of millrace: eval "$(millrace completion bash)"
_millrace() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]} options=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${words([...commands.map((c) => c.name), '--help', '--version'])}" -- "$word"))
    return
  fi
  case "$command" in
${groups.map((g) => `    ${g.name}) if [ "$COMP_CWORD" -eq 2 ]; then COMPREPLY=($(compgen -W "${words([...g.children.map((c) => c.name), '--help'])}" -- "$word")); return; fi; command="$command \${COMP_WORDS[2]}" ;;`).join('\n')}
  esac
  case "$command $before" in
${values.join('\n')}
    'kernel run --kernel') COMPREPLY=($(compgen -f -W "$(${namesOf('kernels')})" -- "$word")); return ;;
  esac
  case "$command" in
${options.join('\n')}
  esac
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")); return ;;
  esac
  case "$command" in
${rest.join('\n')}
  esac
}
complete -o default -F _millrace millrace
`;
}

function argumentOf({ arguments: kinds, choices }: Completed): string {
  if (choices.length > 0) return `COMPREPLY=($(compgen -W "${words(choices)}" -- "$word"))`;
  const names = kinds.flatMap((kind) => (kind === 'files' ? [] : [`$(${namesOf(kind)})`]));
  return `COMPREPLY=($(compgen ${kinds.includes('files') ? '-f ' : ''}${names.length > 0 ? `-W "${words(names)}" ` : ''}-- "$word"))`;
}
