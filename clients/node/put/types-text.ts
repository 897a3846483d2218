import { MillraceError } from '../../../pushdown/types/error.js';

/** 'a=BIGINT,b=DECIMAL(12,2)' as an object. Commas within parentheses belong to the type. @throws MillraceError MR_SOURCE_OPTION */
export function typesOfText(text: string): Record<string, string> {
  const types: Record<string, string> = {};
  for (const part of text.split(/,(?![^(]*\))/)) {
    const at = part.lastIndexOf('=');
    const name = part.slice(0, Math.max(at, 0)).trim();
    const type = part.slice(at + 1).trim();
    if (!name || !type) throw new MillraceError('MR_SOURCE_OPTION', `'${part}' is not NAME=TYPE: write for example a=BIGINT,b=DATE.`, { field: 'types' });
    types[name] = type;
  }
  return types;
}
