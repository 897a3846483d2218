/** What follows is a list of settings, or advice about options nobody can give here. */
const beginOfAdvice = /\n\s*\n|\n?(?:The search space used was|Possible (?:solutions|fixes|Solution)):|\nColumn .* is being converted as type|\n\s*file = /;

/** DuckDB's words about a file that it cannot read, without its advice; what to do instead, and the column, where it names one. */
export function fileWords(message: string): { readonly detail: string; readonly field?: string } {
  const end = beginOfAdvice.exec(message)?.index ?? message.length;
  const said = message.slice(0, end).trim().split(/\s*\n\s*/).join('; ').replace(/[.;]?$/, '.');
  const [, column, type] = /when converting column "(.*)"\..*to '(.*)'/.exec(message) ?? [];
  if (column !== undefined) return { detail: `${said} Name another type for the column (types: ${column}=VARCHAR instead of ${type}), or correct the line.`, field: column };
  if (/detect the CSV/.test(said)) return { detail: `${said} Check that the file is whole; say its delimiter, quote or header where they are unusual.` };
  return { detail: said };
}

/** The message with names for the descriptors files are read by. */
export const withFileNames = (message: string, nameOf: (fd: number) => string): string => message.replace(/(?:\bfile )?(["']?)\/proc\/self\/fd\/(\d+)\1/gi, (_all, _quote, fd: string) => nameOf(Number(fd)));

/** A reader that walks off a damaged file says nothing of use. */
export const arrowWords = (error: unknown): string => (error instanceof TypeError || error instanceof RangeError ? 'it is damaged or cut off.' : error instanceof Error ? error.message : String(error));
